"""The paired test: against slow computations, under the null, and where the answer is obvious."""

import math

import numpy as np
import pytest
from scipy import stats

from activelora.comparison.statistics import area_weights, holm, labels_to_target, paired_test


def simulated(rng, num_seeds, num_items, *, seed_sd=0.0, item_sd=0.0, rest_sd=0.3, shift=0.0):
    seeds, items = seed_sd * rng.normal(size=(num_seeds, 1)), item_sd * rng.normal(size=(1, num_items))
    return shift + seeds + items + rest_sd * rng.normal(size=(num_seeds, num_items))


def test_with_seed_means_it_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    ours, control = rng.normal(size=(2, 5))
    found = paired_test((ours - control)[:, None])
    expected = stats.ttest_rel(ours, control)
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_the_variance_is_that_of_the_mean_squares_by_loops():
    differences = simulated(np.random.default_rng(1), 4, 30, seed_sd=0.2, item_sd=0.5)
    grand = sum(differences[s, n] for s in range(4) for n in range(30)) / 120
    ms_seed = sum(30 * (differences[s].mean() - grand) ** 2 for s in range(4)) / 3
    ms_item = sum(4 * (differences[:, n].mean() - grand) ** 2 for n in range(30)) / 29
    variance = (ms_seed + ms_item) / 120
    freedom = (ms_seed + ms_item) ** 2 / (ms_seed**2 / 3 + ms_item**2 / 29)
    found = paired_test(differences)
    assert found.difference == pytest.approx(grand)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    assert (found.high - found.low) / 2 == pytest.approx(half)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(grand) / math.sqrt(variance), freedom))


NULLS = [
    {"rest_sd": 0.4},
    {"seed_sd": 0.05, "rest_sd": 0.3},
    {"item_sd": 0.3, "rest_sd": 0.3},
    {"seed_sd": 0.03, "item_sd": 0.2, "rest_sd": 0.4},
]


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
@pytest.mark.parametrize("null", NULLS, ids=str)
def test_under_the_null_it_errs_as_rarely_as_it_says(null, num_seeds):
    """600 experiments without a difference: at most 5 % plus three standard errors (2.7 %) may be significant."""
    rng = np.random.default_rng(num_seeds)
    tests = [paired_test(simulated(rng, num_seeds, 200, **null)) for _ in range(600)]
    significant = np.mean([test.p_value < 0.05 for test in tests])
    assert significant <= 0.077
    assert np.mean([test.low <= 0 <= test.high for test in tests]) == pytest.approx(1 - significant)


@pytest.mark.parametrize("num_seeds", [3, 8])
def test_items_that_all_seeds_share_count_where_only_seeds_means_are_known(num_seeds):
    """Without their variance, the seeds' spread alone calls far more than 5 % of null differences significant."""
    rng = np.random.default_rng(num_seeds)
    found, without = 0, 0
    for _ in range(600):
        common = 0.05 * rng.normal()
        means = (common + 0.03 * rng.normal(size=num_seeds))[:, None]
        found += paired_test(means, item_variance=0.05**2).p_value < 0.05
        without += paired_test(means).p_value < 0.05
    assert found / 600 <= 0.077
    assert without / 600 > 0.15


def test_answers_right_or_wrong_are_no_normal_numbers_and_it_holds_all_the_same():
    """Two equally good methods whose answers differ by item and by seed."""
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(500):
        difficulty = rng.beta(2, 0.6, size=(1, 300))
        luck = 0.04 * rng.normal(size=(2, 3, 1))
        right = rng.random((2, 3, 300)) < np.clip(difficulty[None] + luck, 0, 1)
        wrong += paired_test(right[0] * 1.0 - right[1]).p_value < 0.05
    assert wrong / 500 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 500)


def test_a_bootstrap_of_three_seeds_would_err_far_too_often():
    """Why this is no bootstrap: with luck by seed, resampling three seeds finds differences where there are none."""
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(200):
        differences = simulated(rng, 3, 100, seed_sd=0.05, rest_sd=0.2)
        seeds, items = rng.integers(3, size=(300, 3)), rng.integers(100, size=(300, 100))
        means = differences[seeds[:, :, None], items[:, None, :]].mean(axis=(1, 2))
        low, high = np.quantile(means, [0.025, 0.975])
        wrong += not low <= 0 <= high
    assert wrong / 200 > 0.1


def test_what_is_obvious_is_seen():
    rng = np.random.default_rng(3)
    seen = [paired_test(simulated(rng, 3, 500, seed_sd=0.01, rest_sd=0.4, shift=0.1)) for _ in range(200)]
    assert np.mean([test.p_value < 0.05 and test.low > 0 for test in seen]) > 0.9
    assert paired_test(simulated(rng, 3, 500, shift=-0.3)).high < 0


def test_the_interval_holds_the_truth():
    rng = np.random.default_rng(5)
    tests = [paired_test(simulated(rng, 3, 100, seed_sd=0.05, item_sd=0.2, shift=0.07)) for _ in range(400)]
    assert np.mean([test.low <= 0.07 <= test.high for test in tests]) > 0.92


def test_exchanging_the_methods_turns_the_sign_and_nothing_else():
    differences = simulated(np.random.default_rng(6), 3, 40, seed_sd=0.1, item_sd=0.1, shift=0.1)
    one, other = paired_test(differences), paired_test(-differences)
    assert one.difference == -other.difference
    assert (one.low, one.high, one.p_value) == pytest.approx((-other.high, -other.low, other.p_value))
    order = np.random.default_rng(7).permutation(40)
    shuffled = paired_test(differences[::-1, order])
    assert (shuffled.low, shuffled.p_value) == pytest.approx((one.low, one.p_value))


def test_degenerate_inputs():
    same = paired_test(np.zeros((3, 10)))
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    assert paired_test(np.ones((3, 10))).p_value == 0
    one_seed = paired_test(np.random.default_rng(8).normal(size=(1, 50)))
    assert math.isnan(one_seed.p_value)
    assert one_seed.low < one_seed.difference < one_seed.high
    for bad in (np.zeros((1, 1)), np.zeros((0, 5)), np.zeros(4), np.array([[0.0, np.nan]])):
        with pytest.raises(ValueError, match="difference"):
            paired_test(bad)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.04]) == [0.04]
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    adjusted = holm([0.01, math.nan, 0.02])
    assert (adjusted[0], adjusted[2]) == (0.02, 0.02)
    assert math.isnan(adjusted[1])


def test_holm_agrees_with_the_step_down_definition():
    rng = np.random.default_rng(9)
    for _ in range(20):
        p_values = rng.random(6) ** 2
        for alpha in (0.01, 0.05, 0.2):
            rejected = set()
            for rank, index in enumerate(np.argsort(p_values)):
                if p_values[index] > alpha / (6 - rank):
                    break
                rejected.add(index)
            assert {index for index, p_value in enumerate(holm(p_values)) if p_value <= alpha} == rejected


def test_holm_keeps_the_chance_of_any_false_claim():
    rng = np.random.default_rng(10)
    claims = [min(holm(rng.random(8))) < 0.05 for _ in range(1000)]
    assert np.mean(claims) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)


def test_the_area_is_the_mean_over_labels():
    weights = area_weights([0, 10, 40])
    assert weights == pytest.approx([5 / 40, 20 / 40, 15 / 40])
    values = np.array([0.2, 0.5, 0.8])
    assert weights @ values == pytest.approx(np.trapezoid(values, [0, 10, 40]) / 40)
    for bad in ([5], [5, 5], [5, 3]):
        with pytest.raises(ValueError, match="rising"):
            area_weights(bad)


def test_labels_to_target():
    assert labels_to_target([0, 10, 20], [0.2, 0.6, 0.7], 0.4) == pytest.approx(5)
    assert labels_to_target([0, 10, 20], [0.2, 0.6, 0.7], 0.1) == 0
    assert labels_to_target([0, 10, 20], [0.2, 0.6, 0.5], 0.6) == 10
    assert labels_to_target([0, 10, 20], [0.2, 0.6, 0.7], 0.8) is None


def test_seeds_that_agree_by_chance_do_not_hide_what_each_is_uncertain_by():
    found = paired_test(np.array([[-0.06], [-0.06]]), least_variance=0.02**2)
    assert found.high - found.low == pytest.approx(2 * stats.t.ppf(0.975, 1) * 0.02)
    assert found.p_value == pytest.approx(2 * stats.t.sf(3.0, 1))
    assert paired_test(np.array([[-0.06], [0.10]]), least_variance=1e-6) == paired_test(np.array([[-0.06], [0.10]]))
