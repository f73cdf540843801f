"""A share of every batch is a uniform draw from the whole pool."""

from collections import Counter

import numpy as np
import pytest

from activelora.acquisition import exploration
from activelora.acquisition.registry import STRATEGIES
from activelora.acquisition.strategy import Pick, ScoredPool, Strategy
from activelora.errors import ActiveLoRAError
from tests.acquisition.conftest import context_of, ids_of, permuted

ENTROPY = STRATEGIES["entropy"]


def explored(picks):
    return [pick for pick in picks if pick.reason == exploration.REASON]


@pytest.mark.parametrize(
    ("num", "share", "expected"), [(10, 0, 0), (10, 0.2, 2), (10, 0.25, 3), (10, 1, 10), (1, 0.4, 0), (1, 0.5, 1)]
)
def test_the_share_is_rounded_half_up(num, share, expected, pool):
    assert exploration.num_exploration(num, share) == expected
    picks = exploration.select(ENTROPY, pool, num, context_of("entropy", exploration=share))
    assert (len(picks), len(explored(picks))) == (num, expected)


def test_without_exploration_it_is_the_strategy(pool):
    assert exploration.select(ENTROPY, pool, 8, context_of("entropy")) == ENTROPY.select(pool, 8, context_of("entropy"))


def test_the_rest_is_the_strategys_top_in_its_order(pool):
    picks = exploration.select(ENTROPY, pool, 10, context_of("entropy", exploration=0.3))
    drawn = {pick.index for pick in explored(picks)}
    ranking = [pick for pick in ENTROPY.select(pool, 40, context_of("entropy")) if pick.index not in drawn]
    assert [pick for pick in picks if pick.score is not None] == ranking[:7]


def test_random_picks_are_spread_over_the_batch(pool):
    picks = exploration.select(ENTROPY, pool, 20, context_of("entropy", exploration=0.2))
    assert [position for position, pick in enumerate(picks) if pick.score is None] == [2, 7, 12, 17]


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_no_item_twice_and_any_order_of_the_pool(name, share, pool):
    context = context_of(name, exploration=share)
    picks = exploration.select(STRATEGIES[name], pool, 30, context)
    assert len({pick.index for pick in picks}) == 30
    other = permuted(pool, np.arange(40)[::-1])
    assert ids_of(other, exploration.select(STRATEGIES[name], other, 30, context)) == ids_of(pool, picks)


def test_asking_for_more_than_there_is_returns_all(pool):
    picks = exploration.select(ENTROPY, pool, 99, context_of("entropy", exploration=0.3))
    assert sorted(pick.index for pick in picks) == list(range(40))


def test_random_picks_are_uniform_over_the_whole_pool(pool):
    counts = Counter()
    for seed in range(1500):
        picks = exploration.select(ENTROPY, pool, 8, context_of("entropy", seed=seed, exploration=0.5))
        counts.update(pick.index for pick in explored(picks))
    expected = 1500 * 4 / 40
    chi_squared = sum((counts[index] - expected) ** 2 / expected for index in range(40))
    assert chi_squared < 72.1  # 0.1 % of a chi-squared with 39 degrees of freedom


@pytest.mark.parametrize("indices", [[0, 0], [0], [0, 1, 2], [0, 40], [-1, 0]])
def test_a_strategy_that_breaks_the_contract_is_named(indices, pool):
    broken = Strategy("mine", "", lambda *_: [Pick(index, 1.0, "") for index in indices])
    with pytest.raises(ActiveLoRAError, match="strategy `mine` returned"):
        exploration.select(broken, pool, 2, context_of("entropy"))


def test_an_empty_pool():
    empty = ScoredPool((), {}, {}, np.empty((0, 0)))
    assert exploration.select(STRATEGIES["random"], empty, 5, context_of("random", exploration=0.5)) == []
