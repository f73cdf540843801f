"""Clusters by entailment, against the algorithm of the paper written as a loop, over tables of what entails what."""

import itertools

import numpy as np
import pytest

from activelora.campaign.records import Item
from activelora.scoring.entailments import linked, same_by_entailment
from activelora.tasks.written import plain_text
from activelora.uncertainty.semantic_entropy import clusters


def slow_clusters(answers, entails):
    """Return the clusters of Kuhn et al. 2023, algorithm 1: each answer against the first of every cluster, in turn."""
    found = [[answers[0]]]
    for answer in answers[1:]:
        for cluster in found:
            if entails(cluster[0], answer) and entails(answer, cluster[0]):
                cluster.append(answer)
                break
        else:
            found.append([answer])
    return {frozenset(cluster) for cluster in found}


class Table:
    """What entails what, by prompt; and what was asked."""

    def __init__(self, pairs):
        self.pairs, self.asked, self.num_calls = pairs, [], 0

    def __call__(self, pairs):
        self.num_calls += 1
        self.asked += pairs
        return [tuple(pair) in self.pairs for pair in pairs]


def groups_of(links, answers):
    numbers = clusters(len(answers), links)
    return {frozenset(text for text, own in zip(answers, numbers, strict=True) if own == one) for one in numbers}


@pytest.mark.parametrize("seed", range(20))
def test_clusters_are_those_of_the_papers_algorithm(seed):
    rng = np.random.default_rng(seed)
    prompts = [f"question {number}" for number in range(5)]
    answers = [[f"answer {one}" for one in range(rng.integers(1, 9))] for _ in prompts]
    share = rng.uniform(0.2, 0.95)
    table = Table(
        {
            (prompt, left, right)
            for prompt, own in zip(prompts, answers, strict=True)
            for left, right in itertools.permutations(own, 2)
            if rng.random() < share
        }
    )
    found = linked(prompts, answers, table)
    for prompt, own, links in zip(prompts, answers, found, strict=True):
        pairs = table.pairs
        expected = slow_clusters(own, lambda left, right, prompt=prompt, pairs=pairs: (prompt, left, right) in pairs)
        assert groups_of(links, own) == expected
    assert len(table.asked) == len(set(table.asked))
    assert table.num_calls <= 2 * (max(map(len, answers)) - 1)


def test_entailment_one_way_is_no_sameness_and_the_first_of_a_cluster_speaks_for_it():
    both = {("q", "a", "b"), ("q", "b", "a"), ("q", "b", "c"), ("q", "c", "b"), ("q", "a", "d")}
    (links,) = linked(["q"], [["a", "b", "c", "d"]], Table(both))
    assert groups_of(links, "abcd") == {frozenset("ab"), frozenset("c"), frozenset("d")}  # c is b's, not a's
    (links,) = linked(["q"], [["b", "a", "c", "d"]], Table(both))
    assert groups_of(links, "bacd") == {frozenset("abc"), frozenset("d")}


def test_another_prompt_is_another_question():
    table = Table({("q", "a", "b"), ("q", "b", "a")})
    assert linked(["q", "r"], [["a", "b"], ["a", "b"]], table) == [{(0, 1)}, set()]


def test_the_same_words_are_not_asked_about():
    answers = ["Paris", " paris. ", "London", "PARIS", "london!"]
    table = Table(set())
    (links,) = linked(["q"], [answers], table)
    assert clusters(5, links).tolist() == [0, 0, 1, 0, 1]
    assert [(one.premise, one.hypothesis) for one in table.asked] == [("Paris", "London")]
    assert linked(["q"], [["Paris", "paris"]], silent := Table(set())) == [{(0, 1)}]
    assert silent.asked == []
    assert linked([], [], silent) == []


def test_words_are_the_same_without_case_and_what_is_around_them():
    assert plain_text("  The  Capital\nis Paris. ") == plain_text('"the capital is paris"')
    assert plain_text("5.0") != plain_text("50")


def test_items_are_found_again_by_their_ids():
    items = [Item(name, {"text": name}) for name in "xyz"]
    answers = [["a", "b"], ["a"], ["b", "a"]]
    table = Table({("q x", "a", "b"), ("q x", "b", "a")})
    same = same_by_entailment(items, ["q x", "q y", "q z"], answers, table)
    assert [same(item, own) for item, own in zip(items[::-1], answers[::-1], strict=True)] == [set(), set(), {(0, 1)}]
