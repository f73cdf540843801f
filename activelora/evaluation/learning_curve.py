"""The label-efficiency forecast: a power law through a learning curve, and how many labels reach a target.

``y(n) = a − b·n^(−c)`` with b ≥ 0, c > 0 and a at most the best value there is (Cortes et al. 1993, learning curves of
classifiers; Figueroa et al. 2012, with weights by precision). For a given c the law is linear, so c is searched on a
grid and the rest has a closed form: no start values, and no optimiser that may fail.

Intervals are profile-likelihood intervals (Venzon and Moolgavkar 1988): all values that the points do not contradict.
Unlike the delta method they know that a curve may never reach the target; unlike the parametric bootstrap they do
not depend on a seed and do not pile up at the bounds of a, b and c.

Letters: P points, G exponents on the grid, M candidate values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MIN_POINTS = 4
"""Three points always lie on some curve of three parameters."""
HORIZON = 10.0
"""The curve is not followed beyond this many times the labels of its last point."""
_EXPONENTS_G = np.geomspace(0.05, 4.0, 200)
_NUM_CANDIDATES = 400


@dataclass(frozen=True)
class MeasuredPoint:
    """One round's result.

    Attributes:
        num_labels: n, that the adapter was trained on; above 0.
        value: The metric; higher is better.
        variance: Variance of the value, as an estimate from the holdout.
    """

    num_labels: float
    value: float
    variance: float


@dataclass(frozen=True)
class LabelsNeeded:
    """How many labels, in all, reach a target.

    Attributes:
        estimate: Estimate by the best curve; None if it does not get there within :data:`HORIZON`.
        low: Fewest labels that the points do not contradict; None if they contradict all.
        high: Most; None if it may be never, or beyond the horizon.
    """

    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LearningCurve:
    """A power law fitted to the rounds of a campaign.

    Attributes:
        ceiling: a, what endless labels would give.
        drop: b, in units of the last point's labels: ``y = a − b·(n/last)^(−c)``.
        exponent: c.
        points: What it was fitted to.
        limit: The best value that there is.
        level: Confidence level of the intervals, in (0, 1).
    """

    ceiling: float
    drop: float
    exponent: float
    points: tuple[MeasuredPoint, ...]
    limit: float
    level: float

    def value_at(self, num_labels: float) -> float:
        """Return the curve's value."""
        return float(self.ceiling - self.drop * (num_labels / self.last) ** -self.exponent)

    @property
    def last(self) -> float:
        """Labels of the last point."""
        return max(point.num_labels for point in self.points)

    def labels_needed(self, target: float) -> LabelsNeeded:
        """Return how many labels reach a target, never fewer than were spent."""
        candidates_M = self.last * np.geomspace(1.0, HORIZON, _NUM_CANDIDATES)
        plausible_M = self._plausible(_misfit_through(self._data, candidates_M / self.last, target, self.limit))
        never = bool(self._plausible(_fit(self._data, min(self.limit, target))[0]))
        inside_M = candidates_M[plausible_M]
        low = None if not len(inside_M) else float(inside_M[0])
        if low is None and self.value_at(self.last) >= target:
            low = self.last
        open_end = never or bool(plausible_M[-1])
        high = None if open_end else (float(inside_M[-1]) if len(inside_M) else low)
        return LabelsNeeded(self._crossing(target), low, high)

    def value_interval(self, num_labels: float) -> tuple[float, float]:
        """Return the values at a number of labels that the points do not contradict."""
        centre = self.value_at(num_labels)
        spread = 12.0 * math.sqrt(self._scale * max(point.variance for point in self.points))
        values_M = np.linspace(centre - spread, min(self.limit, centre + spread), _NUM_CANDIDATES)
        ratio = np.array([num_labels / self.last])
        misfit_M = np.array([_misfit_through(self._data, ratio, value, self.limit)[0] for value in values_M])
        inside_M = values_M[self._plausible(misfit_M)]
        return (float(inside_M[0]), float(inside_M[-1])) if len(inside_M) else (centre, centre)

    def _crossing(self, target: float) -> float | None:
        if self.value_at(self.last) >= target:
            return self.last
        if self.ceiling <= target or self.drop == 0:
            return None
        times = float((self.drop / (self.ceiling - target)) ** (1.0 / self.exponent))
        return self.last * times if times <= HORIZON else None

    @cached_property
    def _data(self) -> _Data:
        return _data(self.points)

    @cached_property
    def _scale(self) -> float:
        """How much more the points scatter than their variances say (Birge 1932): training has luck of its own."""
        return max(1.0, self._least / max(1, len(self.points) - 3))

    @cached_property
    def _least(self) -> float:
        return float(_fit(self._data, self.limit)[0])

    def _plausible(self, misfit: FloatArray | float) -> NDArray[np.bool_]:
        quantile = NormalDist().inv_cdf((1.0 + self.level) / 2.0)
        return np.asarray(np.asarray(misfit) - self._least <= quantile**2 * self._scale)


def fit_learning_curve(points: Sequence[MeasuredPoint], *, limit: float = 1.0, level: float = 0.95) -> LearningCurve:
    """Fit the power law by weighted least squares.

    Leave the zero-shot result out: it is not the law's value at n → 0 (which is −∞), and comes from another predictor.

    Args:
        points: Points to fit, at least :data:`MIN_POINTS`, of different label counts.
        limit: The best value that there is: 1 for accuracy, 0 for an error with its sign turned.
        level: Confidence level of the intervals, in (0, 1).

    Raises:
        ValueError: There are too few points, or one is not a number, without labels or above the limit.
    """
    if len({point.num_labels for point in points}) < MIN_POINTS:
        raise ValueError(f"a learning curve needs {MIN_POINTS} rounds of different label counts")
    for point in points:
        if not all(map(math.isfinite, (point.num_labels, point.value, point.variance))):
            raise ValueError(f"not a number in {point}")
        if point.num_labels <= 0 or point.variance <= 0 or point.value > limit:
            raise ValueError(f"labels and variance must be above 0 and the value at most {limit}: {point}")
    _, ceiling, drop, exponent = _fit(_data(points), limit)
    return LearningCurve(ceiling, drop, exponent, tuple(points), limit, level)


def binomial_variance(share: float, num_items: int) -> float:
    """Return the variance of a share of right answers, smoothed by one right and one wrong (Agresti and Coull 1998).

    A holdout without a mistake would otherwise be infinitely sure.
    """
    smooth = (share * num_items + 1.0) / (num_items + 2.0)
    return smooth * (1.0 - smooth) / num_items


@dataclass(frozen=True)
class _Data:
    values_P: FloatArray
    weights_P: FloatArray
    powers_GP: FloatArray


def _data(points: Sequence[MeasuredPoint]) -> _Data:
    last = max(point.num_labels for point in points)
    ratios_P = np.array([point.num_labels / last for point in points])
    return _Data(
        np.array([point.value for point in points]),
        np.array([1.0 / point.variance for point in points]),
        ratios_P[None, :] ** -_EXPONENTS_G[:, None],
    )


def _fit(data: _Data, limit: float) -> tuple[float, float, float, float]:
    """Return χ², a, b and c of the best curve with a ≤ limit and b ≥ 0."""
    weights_P, values_P, powers_GP = data.weights_P, data.values_P, data.powers_GP
    total = weights_P.sum()
    mean = (weights_P * values_P).sum() / total
    mean_power_G = powers_GP @ weights_P / total
    centred_GP = powers_GP - mean_power_G[:, None]
    drop_G = -(centred_GP * weights_P) @ (values_P - mean) / ((centred_GP**2) @ weights_P)
    drop_G = np.maximum(drop_G, 0.0)
    ceiling_G = mean + drop_G * mean_power_G
    # Where the best ceiling is too high, the best allowed one is the limit itself: χ² is convex in (a, b).
    bound_G = np.maximum((powers_GP * weights_P) @ (limit - values_P) / ((powers_GP**2) @ weights_P), 0.0)
    over_G = ceiling_G > limit
    ceiling_G, drop_G = np.where(over_G, limit, ceiling_G), np.where(over_G, bound_G, drop_G)
    misfit_G = (weights_P * (values_P - ceiling_G[:, None] + drop_G[:, None] * powers_GP) ** 2).sum(axis=1)
    best = int(misfit_G.argmin())
    return float(misfit_G[best]), float(ceiling_G[best]), float(drop_G[best]), float(_EXPONENTS_G[best])


def _misfit_through(data: _Data, ratios_M: FloatArray, target: float, limit: float) -> FloatArray:
    """Return the least χ² of the curves that pass through a target at given ratios (labels over the last point's).

    Such a curve is ``target + b·(ratio^(−c) − x^(−c))``: one free b for each c, bounded by a ≤ limit.
    """
    if target > limit:
        return np.full(len(ratios_M), np.inf)
    weights_P, powers_GP = data.weights_P, data.powers_GP
    away_P = data.values_P - target
    powers_MG = ratios_M[:, None] ** -_EXPONENTS_G
    # With s = ratio^(−c) − x^(−c), expanded so that nothing of M × G × P is held: Σ w·s², Σ w·s·away.
    norm_MG = powers_MG**2 * weights_P.sum() - 2 * powers_MG * (powers_GP @ weights_P) + powers_GP**2 @ weights_P
    cross_MG = powers_MG * (weights_P @ away_P) - powers_GP @ (weights_P * away_P)
    drop_MG = np.clip(cross_MG / np.maximum(norm_MG, 1e-300), 0.0, (limit - target) / powers_MG)
    misfit_MG = weights_P @ away_P**2 - 2 * drop_MG * cross_MG + drop_MG**2 * norm_MG
    return np.asarray(misfit_MG.min(axis=1))
