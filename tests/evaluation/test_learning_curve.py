"""Learning curves: exact recoveries, a slow search, and how often the intervals hold the truth."""

import numpy as np
import pytest
from scipy.optimize import minimize

from activelora.evaluation.learning_curve import (
    _EXPONENTS_G,
    HORIZON,
    MeasuredPoint,
    binomial_variance,
    fit_learning_curve,
)


def exact(ceiling, drop, exponent, labels=(25, 50, 75, 100, 125, 150), variance=1e-4):
    return [MeasuredPoint(n, ceiling - drop * n**-exponent, variance) for n in labels]


@pytest.mark.parametrize("place", [30, 100, 150])
def test_a_curve_without_noise_is_recovered(place):
    exponent = float(_EXPONENTS_G[place])
    curve = fit_learning_curve(exact(0.93, 0.4 * 25**exponent, exponent))
    assert curve.exponent == pytest.approx(exponent)
    assert curve.ceiling == pytest.approx(0.93, abs=1e-9)
    assert curve.value_at(400) == pytest.approx(0.93 - 0.4 * 16**-exponent, abs=1e-9)


def test_the_labels_needed_solve_the_law():
    exponent = float(_EXPONENTS_G[133])
    drop = 0.4 * 25**exponent
    curve = fit_learning_curve(exact(0.95, drop, exponent))
    target = 0.95 - drop * 240**-exponent
    needed = curve.labels_needed(target)
    assert needed.estimate == pytest.approx(240, rel=1e-6)
    assert needed.low <= 240


def test_precise_points_give_both_ends():
    curve = fit_learning_curve(exact(0.95, 4.0, 0.8, variance=1e-6))
    needed = curve.labels_needed(0.92)
    truth = (4.0 / 0.03) ** (1 / 0.8)
    assert needed.low < truth < needed.high < 1.3 * truth
    low, high = curve.value_interval(300)
    assert low < 0.95 - 4.0 * 300**-0.8 < high
    assert high - low < 0.01


def test_the_fit_is_what_a_general_optimiser_finds():
    rng = np.random.default_rng(4)
    labels = np.arange(1, 9) * 20.0
    for _ in range(3):
        values = 0.9 - 1.2 * labels**-0.5 + 0.02 * rng.normal(size=8)
        variances = rng.uniform(1e-4, 9e-4, size=8)
        points = [MeasuredPoint(*row) for row in zip(labels, values, variances, strict=True)]

        def misfit(parameters, values=values, variances=variances):
            a, b, c = parameters
            return float(((values - a + b * (labels / 160) ** -c) ** 2 / variances).sum())

        bounds = [(None, 1.0), (0.0, None), (_EXPONENTS_G[0], _EXPONENTS_G[-1])]
        found = min((minimize(misfit, (0.9, 0.1, c), bounds=bounds) for c in (0.1, 0.5, 1, 2)), key=lambda one: one.fun)
        curve = fit_learning_curve(points)
        assert misfit((curve.ceiling, curve.drop, curve.exponent)) <= found.fun * 1.01 + 1e-6


def test_the_best_value_there_is_bounds_the_ceiling():
    straight = [MeasuredPoint(n, 0.3 + 0.004 * n, 1e-4) for n in (25, 50, 75, 100, 125, 150)]
    curve = fit_learning_curve(straight)
    assert curve.ceiling <= 1.0
    assert curve.labels_needed(1.0).estimate is None
    assert fit_learning_curve([MeasuredPoint(p.num_labels, p.value - 1, 1e-4) for p in straight], limit=0).ceiling <= 0


def test_a_flat_or_falling_curve_reaches_nothing():
    for slope in (0.0, -0.001):
        curve = fit_learning_curve([MeasuredPoint(n, 0.6 + slope * n, 1e-5) for n in (25, 50, 75, 100, 125)])
        assert curve.drop == pytest.approx(0, abs=1e-12)
        needed = curve.labels_needed(0.9)
        assert (needed.estimate, needed.low, needed.high) == (None, None, None)


def test_what_is_reached_needs_no_more():
    needed = fit_learning_curve(exact(0.95, 4.0, 0.8, variance=1e-7)).labels_needed(0.7)
    assert (needed.estimate, needed.low, needed.high) == (150, 150, 150)


def test_a_target_beyond_the_horizon_is_not_promised():
    curve = fit_learning_curve(exact(0.95, 4.0, 0.8, variance=1e-8))
    target = curve.value_at(1.5 * HORIZON * 150)
    needed = curve.labels_needed(target)
    assert (needed.estimate, needed.high) == (None, None)


@pytest.mark.parametrize(
    ("ceiling", "drop", "exponent", "num_rounds", "num_items", "target"),
    [(0.95, 3.0, 0.8, 6, 500, 0.9), (0.92, 1.5, 0.5, 6, 1000, 0.86), (0.95, 3.0, 0.8, 4, 300, 0.88),
     (0.85, 1.5, 0.5, 6, 500, 0.9)],
)  # fmt: skip
def test_the_intervals_hold_the_truth_as_often_as_they_say(ceiling, drop, exponent, num_rounds, num_items, target):
    """120 simulated campaigns with binomial holdouts; 95 % wanted, three standard errors below it allowed."""
    rng = np.random.default_rng(7)
    labels = 25.0 * np.arange(1, num_rounds + 1)
    truth = (drop / (ceiling - target)) ** (1 / exponent) if ceiling > target else np.inf
    truth = max(truth, labels[-1])
    later = ceiling - drop * (2 * labels[-1]) ** -exponent
    held_labels = held_value = 0
    for _ in range(120):
        values = rng.binomial(num_items, ceiling - drop * labels**-exponent) / num_items
        points = [
            MeasuredPoint(n, value, binomial_variance(value, num_items))
            for n, value in zip(labels, values, strict=True)
        ]
        curve = fit_learning_curve(points)
        needed = curve.labels_needed(target)
        step = HORIZON ** (1 / 399)  # the grid's
        above_low = needed.high is None if needed.low is None else needed.low / step <= truth
        held_labels += above_low and (needed.high is None or truth <= needed.high * step)
        low, high = curve.value_interval(2 * labels[-1])
        held_value += low <= later <= high
    assert held_labels >= 0.89 * 120
    assert held_value >= 0.89 * 120


def test_points_that_scatter_more_than_the_holdout_explains_widen_the_interval():
    calm = exact(0.9, 1.5, 0.6, variance=1e-5)
    wild = [
        MeasuredPoint(p.num_labels, p.value + sign * 0.02, p.variance)
        for p, sign in zip(calm, (1, -1, 1, -1, 1, -1), strict=True)
    ]
    widths = [np.ptp(fit_learning_curve(points).value_interval(300)) for points in (calm, wild)]
    assert widths[1] > 3 * widths[0]


def test_scale_of_labels_and_order_do_not_matter():
    points = exact(0.9, 1.5, 0.6)
    shuffled = [MeasuredPoint(1000 * p.num_labels, p.value, p.variance) for p in points[::-1]]
    first, second = fit_learning_curve(points), fit_learning_curve(shuffled)
    assert second.labels_needed(0.88).estimate == pytest.approx(1000 * first.labels_needed(0.88).estimate)
    assert second.value_interval(300_000) == pytest.approx(first.value_interval(300))


@pytest.mark.parametrize(
    "points",
    [
        exact(0.9, 1.0, 0.5)[:3],
        [*exact(0.9, 1.0, 0.5)[:3], MeasuredPoint(25, 0.5, 1e-4)],
        [*exact(0.9, 1.0, 0.5), MeasuredPoint(0, 0.5, 1e-4)],
        [*exact(0.9, 1.0, 0.5), MeasuredPoint(200, 1.5, 1e-4)],
        [*exact(0.9, 1.0, 0.5), MeasuredPoint(200, float("nan"), 1e-4)],
        [*exact(0.9, 1.0, 0.5), MeasuredPoint(200, 0.5, 0.0)],
    ],
)
def test_what_cannot_be_fitted_is_refused(points):
    with pytest.raises(ValueError, match=r"rounds|number|above 0"):
        fit_learning_curve(points)


def test_a_holdout_without_a_mistake_is_not_infinitely_sure():
    assert binomial_variance(1.0, 100) > 0
    assert binomial_variance(0.5, 10_000) == pytest.approx(0.25 / 10_000, rel=1e-3)
