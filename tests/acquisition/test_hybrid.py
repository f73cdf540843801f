"""Hybrid: another strategy among the top of a measure."""

import numpy as np
import pytest

from activelora.acquisition import hybrid
from activelora.acquisition.random import draw
from activelora.acquisition.registry import STRATEGIES, needs_of
from activelora.config import AcquisitionConfig
from activelora.errors import ModelError
from tests.acquisition.conftest import context_of, permuted


@pytest.mark.parametrize("then", sorted(set(STRATEGIES) - {"hybrid"}))
@pytest.mark.parametrize("prefilter", ["predictive_entropy", "bald"])
def test_it_is_the_second_strategy_on_the_top_of_the_measure(pool, then, prefilter):
    context = context_of("hybrid", then=then, prefilter=prefilter, prefilter_factor=3)
    picks = hybrid.select(pool, 5, context)
    kept = np.argsort(-pool.measures[prefilter])[:15]
    alone = STRATEGIES[then].select(permuted(pool, kept), 5, context_of(then))
    assert [pick.index for pick in picks] == [kept[pick.index] for pick in alone]
    assert [pick.score for pick in picks] == [pick.score for pick in alone]
    assert all(pick.reason.endswith(f"; among the top 15 by {prefilter}") for pick in picks)


def test_a_factor_of_one_is_the_measures_top(pool):
    picks = hybrid.select(pool, 8, context_of("hybrid", prefilter_factor=1))
    assert {pick.index for pick in picks} == set(np.argsort(-pool.measures["predictive_entropy"])[:8].tolist())


def test_a_large_factor_is_the_second_strategy_alone(pool):
    picks = hybrid.select(pool, 8, context_of("hybrid", prefilter_factor=99))
    alone = STRATEGIES["core_set"].select(pool, 8, context_of("core_set"))
    assert [pick.index for pick in picks] == [pick.index for pick in alone]


def test_equal_scores_are_kept_by_the_seeded_draw(pool):
    pool.measures["predictive_entropy"][:] = 1.0
    context = context_of("hybrid", prefilter_factor=2)
    picks = hybrid.select(pool, 4, context)
    assert {pick.index for pick in picks} <= set(draw(pool.item_ids, 8, context.seed))


def test_it_needs_what_the_second_strategy_needs():
    def needs(**settings):
        return needs_of(AcquisitionConfig(**settings))

    assert needs(strategy="hybrid") == {"embeddings"}
    assert needs(strategy="hybrid", hybrid={"then": "batch_bald"}) == {"samples"}
    assert needs(strategy="hybrid", hybrid={"then": "entropy"}) == frozenset()
    assert needs(strategy="entropy", hybrid={"then": "batch_bald"}) == frozenset()


def test_a_score_that_is_no_number_is_refused(pool):
    pool.measures["bald"][9] = np.inf
    with pytest.raises(ModelError, match=r"`bald` under the current model is inf .* item-0009"):
        hybrid.select(pool, 3, context_of("hybrid", prefilter="bald"))
