"""Several annotators' votes to one distribution: crowd-kit's rules against a plain loop, and what must hold of all."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest

from activelora.campaign.aggregation import aggregate, winner

SKILLS = {"ann": 0.95, "bob": 0.9, "cat": 0.2, "dan": 0.2}


def given(*labels: int) -> list[dict[str, object]]:
    """Votes on one item."""
    return [{"item_id": "x", "annotator": f"ann-{place}", "label": label} for place, label in enumerate(labels)]


def simulated(num_items: int, num_classes: int = 3, seed: int = 0) -> tuple[list[dict[str, object]], dict[str, int]]:
    """Annotators of unlike skill; who does not know guesses."""
    rng = np.random.default_rng(seed)
    truth = {f"item-{number:03d}": int(rng.integers(num_classes)) for number in range(num_items)}
    votes: list[dict[str, object]] = []
    for item, label in truth.items():
        for name, skill in SKILLS.items():
            wrong = (label + int(rng.integers(1, num_classes))) % num_classes
            votes.append({"item_id": item, "annotator": name, "label": label if rng.random() < skill else wrong})
    return votes, truth


def slow_dawid_skene(votes, num_classes, iterations=200):
    """EM as in Dawid and Skene (1979), eq. 2.3 to 2.5, one number at a time, from the shares of the votes."""
    items = sorted({vote["item_id"] for vote in votes})
    given = defaultdict(list)
    for vote in votes:
        given[vote["item_id"]].append((vote["annotator"], vote["label"]))
    posterior = {
        item: [sum(label == c for _, label in given[item]) / len(given[item]) for c in range(num_classes)]
        for item in items
    }
    for _ in range(iterations):
        prior = [sum(posterior[item][c] for item in items) / len(items) for c in range(num_classes)]
        confusion: dict[str, list[list[float]]] = defaultdict(lambda: [[0.0] * num_classes for _ in range(num_classes)])
        for item in items:
            for name, label in given[item]:
                for c in range(num_classes):
                    confusion[name][c][label] += posterior[item][c]
        for rows in confusion.values():
            for c, row in enumerate(rows):
                total = sum(row)
                rows[c] = [value / total for value in row]
        for item in items:
            scores = [
                prior[c] * math.prod(confusion[name][c][label] for name, label in given[item])
                for c in range(num_classes)
            ]
            posterior[item] = [score / sum(scores) for score in scores]
    return posterior


def accuracy(found, truth):
    return sum(winner(found[item]) == label for item, label in truth.items()) / len(truth)


def test_majority_is_the_share_of_the_votes_and_a_tie_goes_to_the_smallest():
    found = aggregate(given(2, 1, 2, 1), "majority")
    assert found == {"x": {1: 0.5, 2: 0.5}}
    assert winner(found["x"]) == 1


def test_the_median_of_numbers_ignores_a_slip():
    assert aggregate(given(3, 4, 90), "median") == {"x": {4: 1.0}}


def test_dawid_skene_is_the_posterior_of_a_plain_loop():
    votes, _ = simulated(60)
    found, slow = aggregate(votes, "dawid_skene"), slow_dawid_skene(votes, 3)
    for item, expected in slow.items():
        assert [found[item].get(c, 0.0) for c in range(3)] == pytest.approx(expected, abs=0.05), (
            item
        )  # it stops earlier
    assert all(winner(found[item]) == int(np.argmax(expected)) for item, expected in slow.items())


@pytest.mark.parametrize("rule", ["dawid_skene", "one_coin"])
def test_who_agrees_with_others_is_believed_more(rule):
    votes, truth = simulated(80, seed=3)
    assert accuracy(aggregate(votes, rule), truth) > accuracy(aggregate(votes, "majority"), truth) + 0.02


@pytest.mark.parametrize("rule", ["majority", "median", "dawid_skene", "one_coin"])
def test_distributions_sum_to_one_and_do_not_depend_on_the_order_of_votes(rule):
    votes, _ = simulated(12, seed=1)
    found = aggregate(votes, rule)
    assert list(found) == sorted({str(vote["item_id"]) for vote in votes})
    assert all(sum(shares.values()) == pytest.approx(1.0) and min(shares.values()) > 0 for shares in found.values())
    assert aggregate(votes[::-1], rule) == found


@pytest.mark.parametrize("rule", ["majority", "median", "dawid_skene", "one_coin"])
def test_one_annotator_one_vote_and_no_votes(rule):
    vote = {"item_id": "x", "annotator": "ann", "label": 2}
    assert aggregate([vote], rule) == {"x": {2: 1.0}}
    assert aggregate([], rule) == {}


def outweighed():
    """Ann and bob agree; cat always says 0, and answers `x` alone."""
    said = [2 if number < 8 else number % 2 for number in range(12)]
    agreed = [(f"i{number:02}", name, label) for number, label in enumerate(said) for name in ("ann", "bob")]
    spam = [(item, "cat", 0) for item in ("x", *(f"i{number:02}" for number in range(12)))]
    return [{"item_id": item, "annotator": name, "label": label} for item, name, label in (*agreed, *spam)]


def test_one_coin_believes_nothing_that_nobody_said_of_the_item():
    """Items of multiple choice have unlike numbers of choices: a label of another item may be none of this one."""
    assert aggregate(outweighed(), "one_coin")["x"] == {0: 1.0}
    assert winner(aggregate(outweighed(), "dawid_skene")["x"]) == 2
