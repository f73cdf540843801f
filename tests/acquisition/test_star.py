"""STAR ranks by λ·û_b + (1−λ)·û_f."""

import numpy as np
import pytest

from activelora.acquisition import star
from activelora.errors import ConfigError, ModelError
from tests.acquisition.conftest import context_of, permuted


def mixed(pool, share, measure="predictive_entropy"):
    """The formula, item by item."""
    base, tuned = pool.base_measures[measure].tolist(), pool.measures[measure].tolist()

    def scaled(values):
        return [(value - min(values)) / (max(values) - min(values)) for value in values]

    return [share * b + (1 - share) * f for b, f in zip(scaled(base), scaled(tuned), strict=True)]


@pytest.mark.parametrize("round_", [0, 1, 2, 4])
@pytest.mark.parametrize("measure", ["predictive_entropy", "bald", "margin"])
def test_scores_equal_the_formula(pool, round_, measure):
    if measure == "bald":
        pool.base_measures["bald"][:] = np.linspace(0, 0.1, 40)  # one sample of the base model has no BALD
    picks = star.select(pool, 40, context_of(round_=round_, measure=measure))
    expected = mixed(pool, 1 - round_ / 5, measure)
    assert [pick.index for pick in picks] == sorted(range(40), key=lambda index: -expected[index])
    np.testing.assert_allclose([pick.score for pick in picks], [expected[pick.index] for pick in picks])


def test_round_zero_is_the_base_models_ranking(pool):
    picks = star.select(pool, 40, context_of(round_=0))
    assert [pick.index for pick in picks] == np.argsort(-pool.base_measures["predictive_entropy"]).tolist()


def test_beyond_the_plan_it_is_the_adapters_ranking(pool):
    picks = star.select(pool, 40, context_of(round_=5, num_rounds=5))
    assert [pick.index for pick in picks] == np.argsort(-pool.measures["predictive_entropy"]).tolist()


def test_rank_scaling_ignores_an_outlier(pool):
    pool.measures["predictive_entropy"][3] = 1e6
    by_rank = star.select(pool, 40, context_of(scaling="rank"))
    by_value = star.select(pool, 40, context_of(scaling="minmax"))
    pool.measures["predictive_entropy"][3] = 50.0
    assert [pick.index for pick in star.select(pool, 40, context_of(scaling="rank"))] == [p.index for p in by_rank]
    assert [pick.index for pick in by_value] != [pick.index for pick in by_rank]


def test_the_reason_shows_both_parts(pool):
    reason = star.select(pool, 1, context_of(round_=2, num_rounds=5))[0].reason
    assert " × 0.60 + adapter " in reason
    assert " × 0.40), rank 1 of 40" in reason


def test_a_base_score_that_is_no_number_is_refused(pool):
    pool.base_measures["predictive_entropy"][2] = np.nan
    with pytest.raises(ModelError, match=r"`predictive_entropy` under the base model is nan .* item-0002"):
        star.select(pool, 3, context_of())


def test_a_measure_that_was_not_scored_is_refused(pool):
    with pytest.raises(ConfigError, match=r"no scores of `entropy`.*it has: bald"):
        star.select(pool, 3, context_of(measure="entropy"))


def test_order_of_the_pool_does_not_matter_in_any_round(pool):
    other = permuted(pool, np.arange(40)[::-1])
    for round_ in range(6):
        one = star.select(pool, 8, context_of(round_=round_))
        two = star.select(other, 8, context_of(round_=round_))
        assert [pool.item_ids[pick.index] for pick in one] == [other.item_ids[pick.index] for pick in two]
