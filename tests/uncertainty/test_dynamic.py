"""STAR's dynamic uncertainty: its formula, and what must not change a ranking."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from activelora.uncertainty.dynamic import base_share, dynamic_uncertainty, scale_minmax, scale_rank

both_scalings = pytest.mark.parametrize("scaling", ["minmax", "rank"])


def scores(seed, num_items=50):
    return np.random.default_rng(seed).normal(size=num_items)


def test_ten_rounds_give_one_before_training_and_then_nine_tenths_to_one_tenth():
    shares = [base_share(round_, 10) for round_ in range(10)]
    np.testing.assert_allclose(shares, [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def test_the_papers_formula_counts_queries_of_an_adapter():
    for round_ in range(1, 8):
        query = round_ - 1
        assert base_share(round_, 7) == pytest.approx(1 - (query + 1) / 7)


def test_a_round_beyond_the_plan_trusts_the_adapter_alone():
    assert base_share(5, 5) == 0
    assert base_share(9, 5) == 0


def test_minmax_mix_equals_the_formula_item_by_item():
    base_N, tuned_N = scores(0), 40 * scores(1)
    expected = [
        0.3 * (b - min(base_N)) / (max(base_N) - min(base_N)) + 0.7 * (f - min(tuned_N)) / (max(tuned_N) - min(tuned_N))
        for b, f in zip(base_N, tuned_N, strict=True)
    ]
    np.testing.assert_allclose(dynamic_uncertainty(base_N, tuned_N, 0.3), expected)


def test_ranks_equal_scipys():
    scores_N = np.round(scores(2), 1)  # with ties
    expected = (stats.rankdata(scores_N) - 1) / (len(scores_N) - 1)
    np.testing.assert_allclose(scale_rank(scores_N), expected)


@both_scalings
@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 1000),
    factor=st.floats(1e-3, 1e3),
    shift=st.floats(-100, 100),
    share=st.floats(0, 1),
    side=st.sampled_from(["base", "tuned"]),
)
def test_an_affine_map_of_one_side_changes_no_score(scaling, seed, factor, shift, share, side):
    base_N, tuned_N = scores(seed), scores(seed + 5000)
    mapped = {"base": base_N, "tuned": tuned_N}
    mapped[side] = factor * mapped[side] + shift
    before = dynamic_uncertainty(base_N, tuned_N, share, scaling)
    after = dynamic_uncertainty(mapped["base"], mapped["tuned"], share, scaling)
    np.testing.assert_allclose(after, before, atol=1e-7)


@both_scalings
def test_an_affine_map_of_either_side_keeps_the_ranking(scaling):
    base_N, tuned_N = scores(3), scores(4)
    before = np.argsort(dynamic_uncertainty(base_N, tuned_N, 0.4, scaling))
    after = np.argsort(dynamic_uncertainty(1000 * base_N + 7, 0.001 * tuned_N - 3, 0.4, scaling))
    np.testing.assert_array_equal(after, before)


@both_scalings
def test_the_extremes_are_the_pure_rankings(scaling):
    base_N, tuned_N = scores(5), scores(6)
    only_base = dynamic_uncertainty(base_N, tuned_N, 1.0, scaling)
    only_tuned = dynamic_uncertainty(base_N, tuned_N, 0.0, scaling)
    np.testing.assert_array_equal(np.argsort(only_base), np.argsort(base_N))
    np.testing.assert_array_equal(np.argsort(only_tuned), np.argsort(tuned_N))


@both_scalings
def test_a_constant_side_has_no_say(scaling):
    tuned_N = scores(7)
    mixed_N = dynamic_uncertainty(np.full(50, 3.3), tuned_N, 0.9, scaling)
    np.testing.assert_array_equal(np.argsort(mixed_N), np.argsort(tuned_N))
    assert mixed_N.max() == pytest.approx(0.1)


@pytest.mark.parametrize("scale", [scale_minmax, scale_rank])
def test_scaled_scores_span_zero_to_one(scale):
    scaled_N = scale(scores(8))
    assert (scaled_N.min(), scaled_N.max()) == (0, 1)
    np.testing.assert_array_equal(scale(np.full(4, 2.0)), 0)
    np.testing.assert_array_equal(scale(np.array([2.0])), 0)
    assert scale(np.empty(0)).shape == (0,)


@pytest.mark.parametrize("scale", [scale_minmax, scale_rank])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(scale, bad):
    with pytest.raises(ValueError, match="score 1 is"):
        scale(np.array([1.0, bad]))


def test_two_lengths_and_a_share_outside_the_range_are_refused():
    with pytest.raises(ValueError, match="one length"):
        dynamic_uncertainty(scores(0), scores(1, 3), 0.5)
    with pytest.raises(ValueError, match="share"):
        dynamic_uncertainty(scores(0), scores(1), 1.5)
