"""Entropy over meanings against plain loops, at its ends, and in any order."""

import itertools
import math

import numpy as np
import pytest

from activelora.errors import ModelError
from activelora.uncertainty import semantic_entropy as semantic
from activelora.uncertainty.measures import MEASURES, facts_of
from activelora.uncertainty.semantic_entropy import MEANING_MEASURES, Meanings


def drawn(seed, num_answers=9, num_texts=6, num_meanings=3):
    """Answers drawn from texts of random probabilities, of which several mean the same."""
    rng = np.random.default_rng(seed)
    probs, meaning = rng.dirichlet(np.ones(num_texts)), rng.integers(0, num_meanings, num_texts)
    texts_K = rng.choice(num_texts, num_answers, p=probs)
    return Meanings(meaning[texts_K], texts_K.tolist(), np.log(probs[texts_K]))


def slow(meanings, weighted):
    mass = {}
    seen = set()
    for cluster, answer, log_prob in zip(meanings.clusters_K, meanings.answers, meanings.log_probs_K, strict=True):
        if weighted and answer in seen:
            continue
        seen.add(answer)
        mass[cluster] = mass.get(cluster, 0.0) + (math.exp(log_prob) if weighted else 1.0)
    total = sum(mass.values())
    return -sum(value / total * math.log(value / total) for value in mass.values())


@pytest.mark.parametrize("seed", range(20))
def test_both_equal_plain_loops(seed):
    meanings = drawn(seed)
    assert semantic.semantic_entropy(meanings) == pytest.approx(slow(meanings, weighted=False), abs=1e-12)
    assert semantic.likelihood_semantic_entropy(meanings) == pytest.approx(slow(meanings, weighted=True), abs=1e-12)


def test_an_answer_under_several_samples_has_their_mean_probability():
    meanings = Meanings(np.array([0, 0, 1]), ["a", "a", "b"], np.log([0.1, 0.5, 0.3]))
    assert semantic.likelihood_semantic_entropy(meanings) == pytest.approx(math.log(2))


@pytest.mark.parametrize("name", MEANING_MEASURES)
def test_the_ends(name):
    measure = MEANING_MEASURES[name]
    alike = Meanings(np.zeros(7, dtype=np.int64), list("abcdefg"), np.linspace(-9, -1, 7))
    assert measure(alike) == 0.0
    different = Meanings(np.arange(7), list("abcdefg"), np.full(7, -3.0))
    assert measure(different) == pytest.approx(math.log(7))
    assert measure(Meanings(np.zeros(1, dtype=np.int64), ["a"], np.array([-800.0]))) == 0.0
    for seed in range(30):
        assert 0.0 == facts_of(name).lowest <= measure(drawn(seed)) <= math.log(9)
        far = Meanings(drawn(seed).clusters_K, drawn(seed).answers, drawn(seed).log_probs_K - 2000.0)
        assert measure(far) == pytest.approx(measure(drawn(seed)))


@pytest.mark.parametrize("name", MEANING_MEASURES)
def test_the_order_of_answers_means_nothing(name):
    meanings = drawn(3)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(9)
        answers = [meanings.answers[index] for index in order]
        shuffled = Meanings(meanings.clusters_K[order], answers, meanings.log_probs_K[order])
        assert MEANING_MEASURES[name](shuffled) == pytest.approx(MEANING_MEASURES[name](meanings), abs=1e-12)


def test_where_each_answer_means_itself_it_is_the_predictive_entropy():
    """By counts, of the draws' own distribution; by likelihood, once all answers have been drawn, of the true one."""
    probs_C = np.random.default_rng(1).dirichlet(np.ones(5))
    draws_K = np.concatenate([np.arange(5), np.random.default_rng(2).choice(5, 40, p=probs_C)])
    meanings = Meanings(draws_K, draws_K.tolist(), np.log(probs_C[draws_K]))
    of_draws_C = np.bincount(draws_K) / len(draws_K)
    predictive = MEASURES["predictive_entropy"]
    assert semantic.semantic_entropy(meanings) == pytest.approx(predictive(np.log(of_draws_C)[None, None])[0])
    assert semantic.likelihood_semantic_entropy(meanings) == pytest.approx(predictive(np.log(probs_C)[None, None])[0])


def test_clusters_join_what_is_linked_in_any_order():
    same = {(0, 3), (3, 5), (1, 4)}
    assert semantic.clusters(6, same).tolist() == [0, 1, 2, 0, 1, 0]
    assert semantic.clusters(3, set()).tolist() == [0, 1, 2]
    for order in itertools.permutations(range(6)):
        moved = {(order[left], order[right]) for left, right in same}
        found = semantic.clusters(6, moved)[list(order)]
        assert {frozenset(np.flatnonzero(found == one).tolist()) for one in found} == {
            frozenset({0, 3, 5}),
            frozenset({1, 4}),
            frozenset({2}),
        }


def test_nan_is_refused_by_name():
    with pytest.raises(ModelError, match="not numbers for item x"):
        semantic.score_meanings([Meanings(np.array([0]), ["a"], np.array([np.nan]))], ["x"])
