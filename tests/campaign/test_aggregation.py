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
    """EM as in Dawid and Skene (1979), eq. 2.3 to 2.5, one number at a time, from the shares of the votes; each
    annotator begins with two right votes a label and one wrong one, shared, and each label with one item."""
    items = sorted({vote["item_id"] for vote in votes})
    given = defaultdict(list)
    for vote in votes:
        given[vote["item_id"]].append((vote["annotator"], vote["label"]))
    posterior = {
        item: [sum(label == c for _, label in given[item]) / len(given[item]) for c in range(num_classes)]
        for item in items
    }
    for _ in range(iterations):
        prior = [(1.0 + sum(posterior[item][c] for item in items)) / len(items) for c in range(num_classes)]
        confusion: dict[str, list[list[float]]] = defaultdict(
            lambda: [
                [2.0 if c == d else 1.0 / (num_classes - 1) for d in range(num_classes)] for c in range(num_classes)
            ]
        )
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


@pytest.mark.parametrize(("labels", "mean"), [((3, 5), 4), ((1, 2, 8, 90), 5), ((3, 4), 4), ((4, 5), 4), ((7, 7), 7)])
def test_the_median_of_an_even_number_is_the_mean_of_the_middle_two(labels, mean):
    """On the grid: a mean between two places goes to the even one."""
    assert aggregate(given(*labels), "median") == {"x": {mean: 1.0}}


def test_dawid_skene_is_the_posterior_of_a_plain_loop():
    votes, _ = simulated(60)
    found, slow = aggregate(votes, "dawid_skene"), slow_dawid_skene(votes, 3)
    for item, expected in slow.items():
        assert [found[item].get(c, 0.0) for c in range(3)] == pytest.approx(expected, abs=2e-6), item


def test_with_many_votes_the_priors_do_not_matter():
    """crowd-kit's rule has none."""
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    votes, _ = simulated(1500, seed=5)
    table = pd.DataFrame(
        [(v["item_id"], v["annotator"], v["label"]) for v in votes], columns=["task", "worker", "label"]
    )
    with pytest.warns(pd.errors.Pandas4Warning):
        theirs = DawidSkene(n_iter=100).fit(table).probas_
    ours = aggregate(votes, "dawid_skene")
    differences = [abs(ours[item].get(c, 0.0) - row[c]) for item, row in theirs.iterrows() for c in range(3)]
    assert np.mean(differences) < 0.01
    assert np.mean([winner(ours[item]) == row.idxmax() for item, row in theirs.iterrows()]) > 0.99


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
    assert aggregate([*outweighed(), {"item_id": "x", "annotator": "dan", "label": 1}], "one_coin")["x"].keys() <= {
        0,
        1,
    }


def test_unanimous_votes_win_even_over_what_is_known_of_who_gave_them():
    assert winner(aggregate(outweighed(), "dawid_skene")["x"]) == 0


@pytest.mark.parametrize("rule", ["dawid_skene", "one_coin"])
@pytest.mark.parametrize("seed", range(20))
def test_unanimous_votes_always_win(rule, seed):
    """Few votes, rare labels, annotators who have used one label only: nobody who agrees is overruled."""
    rng = np.random.default_rng(seed)
    votes = [
        {"item_id": f"i{item:02}", "annotator": f"a{who}", "label": int(rng.choice(4, p=[0.85, 0.1, 0.04, 0.01]))}
        for item in range(30)
        for who in rng.choice(6, size=int(rng.integers(1, 4)), replace=False)
    ]
    for who in ("u", "v", "w"):
        votes += [{"item_id": f"one-{who}-{n}", "annotator": who, "label": 0} for n in range(5)]
    votes += [{"item_id": "rare", "annotator": who, "label": 3} for who in ("u", "v")]
    found = aggregate(votes, rule)
    said = defaultdict(set)
    for vote in votes:
        said[vote["item_id"]].add(vote["label"])
    unanimous = {item: next(iter(labels)) for item, labels in said.items() if len(labels) == 1}
    assert len(unanimous) > 20
    assert {item: winner(found[item]) for item in unanimous} == unanimous
