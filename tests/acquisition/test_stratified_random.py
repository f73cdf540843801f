"""Stratified random: classes take turns, items of a class are drawn uniformly."""

from collections import Counter

import numpy as np
import pytest

from activelora.acquisition import stratified_random
from activelora.errors import ModelError
from tests.acquisition.conftest import context_of, pool_of


def pool_with(counts):
    """A pool with so many items predicted as each class."""
    answers = np.repeat(np.arange(len(counts)), counts)
    probs_NC = np.full((len(answers), len(counts)), 0.1)
    probs_NC[np.arange(len(answers)), answers] = 1 - 0.1 * (len(counts) - 1)
    return pool_of(np.log(probs_NC)[:, None]), answers


@pytest.mark.parametrize(
    ("num", "expected"), [(4, [1, 1, 1, 1]), (12, [3, 3, 3, 3]), (16, [5, 5, 3, 3]), (99, [40, 8, 3, 3])]
)
def test_shares_are_equal_as_far_as_there_are_items(num, expected):
    pool, answers = pool_with([40, 8, 3, 3])
    picks = stratified_random.select(pool, num, context_of("stratified_random"))
    assert np.bincount(answers[[pick.index for pick in picks]], minlength=4).tolist() == expected


def test_items_of_a_class_and_first_classes_are_drawn_equally_often():
    pool, answers = pool_with([6, 3, 2])
    items, firsts = Counter(), Counter()
    for seed in range(3000):
        picks = stratified_random.select(pool, 3, context_of("stratified_random", seed=seed))
        items.update(pick.index for pick in picks)
        firsts[answers[picks[0].index]] += 1
    for counts, values, limit in (
        (items, range(6), 20.5),
        (items, range(6, 9), 13.8),
        (firsts, range(3), 13.8),
    ):  # 0.1 % of a chi-squared
        expected = 3000 / len(values)
        assert sum((counts[value] - expected) ** 2 / expected for value in values) < limit


def test_the_reason_names_the_class():
    pool, _ = pool_with([2, 1, 1, 1])
    reasons = {pick.reason for pick in stratified_random.select(pool, 2, context_of("stratified_random"))}
    assert reasons <= {
        f"drawn at random from {size} items predicted as {name}"
        for size, name in ((2, "entity"), (1, "human"), (1, "number"), (1, "place"))
    }


def test_probabilities_that_are_no_numbers_are_refused(pool):
    pool.mean_probs_NC[3, 1] = np.nan
    with pytest.raises(ModelError, match="mean probabilities are not all finite"):
        stratified_random.select(pool, 2, context_of("stratified_random"))
