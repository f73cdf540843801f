"""What M weighted draws say of all N rows of a table: an estimate without bias, and an interval.

**Estimate.** LURE (Farquhar, Gal and Rainforth 2021, arXiv 2101.11665) with the model's expectation as a control
variate, as in prediction-powered inference (arXiv 2301.09633, 2311.01453) and confidence-driven inference (arXiv
2408.15204). Of row i, y_i is the truth, known of the draws only (1 where the answer is wrong, say), and e_i what the
model expects of it (1 − p), known of all rows. With q_m the probability with which draw m was made, among the rows that
were left,

    v_m = 1 + (N − M)/(N − m) · (1/((N − m + 1) · q_m) − 1),
    estimate = mean_i e_i + (1/M) Σ_m v_m (y_m − e_m).

Its expectation is mean_i y_i whatever the model says; a model that says nothing true costs precision only. Draws that
are all alike have v_m = 1, and M = N gives the mean over the table.

**Variance.** The estimate is mean_i e_i + (1/M) Σ_m c_m a_m, with a_m = (y_m − e_m)/(N q_m) + (1/N) Σ_{t<m} (y_t −
e_t) and c_m = N(N − M)/((N − m)(N − m + 1)). Given the draws before, every a_m has the mean that is estimated, so that
their errors are uncorrelated, and Σ c_m² (a_m − mean)² / (M(M − 1)) estimates the variance. c_m knows that the table is
finite.

**Interval.** Few draws show few errors, and a t-interval by that variance is then too narrow. As Wilson's does for
uniform draws, the interval therefore also holds each θ that is within z standard deviations of the estimate by the
variance that there would be if θ were true, (1 − M/N)/M · (S(θ) − (θ − mean e)²), with the weighted second moment of
residuals S(θ) = mean_i w_i E(y_i − e_i)² and w_i = 1/(N q_1(i)). Below the model's mean, S takes it that the truth of
row i has mean e_i·θ/mean e ("proportional"). Above, it is half of that and half of e_i + (1 − e_i)·g ("additive": in a
share g of all rows the model is sure and wrong). The additive half keeps the interval honest where rows are unlike
those that the model was calibrated on; all of it would be as wide as with uniform draws. Measured coverage:
``benchmarks/active_testing.py``. Losses without a bound have no such S; :func:`t_interval` is for them.

Letters: N rows, M draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from activelora.evaluation.classification_metrics import FloatArray


@dataclass(frozen=True)
class TableMeans:
    """What the model expects of a quantity in [0, 1], over the whole table.

    Attributes:
        mean: mean_i e_i.
        weight: mean_i w_i.
        weighted: mean_i w_i e_i.
        weighted_square: mean_i w_i e_i².
    """

    mean: float
    weight: float
    weighted: float
    weighted_square: float

    @classmethod
    def of(cls, expected_N: FloatArray, first_probability_N: FloatArray) -> TableMeans:
        """Return those of a table.

        Args:
            expected_N: e, in [0, 1].
            first_probability_N: q_1, as :func:`activelora.evaluation.weighted_draws.first_probabilities` returns it.
        """
        weight_N = 1.0 / (len(expected_N) * first_probability_N)
        means = (expected_N, weight_N, weight_N * expected_N, weight_N * expected_N**2)
        return cls(*(float(values_N.mean()) for values_N in means))

    def residual_squares(self) -> tuple[float, float, float]:
        """Return S(0), S(mean) and S(1); S is linear between them."""
        right = self.weighted - self.weighted_square
        additive = self.weight - 2.0 * self.weighted + self.weighted_square
        if not 0.0 < self.mean < 1.0:
            return self.weighted_square, right, max(additive, 0.0)
        proportional = self.weighted_square + (self.weighted - 2.0 * self.weighted_square) / self.mean
        return self.weighted_square, right, max((additive + proportional) / 2.0, 0.0)


@dataclass(frozen=True)
class Estimate:
    """An estimated mean over the table.

    Attributes:
        value: The estimate; that of a share may lie a little outside [0, 1].
        variance: Its estimated variance; 0 of a single draw, which tells none, and where all rows were drawn.
        num_rows: N.
        num_draws: M.
    """

    value: float
    variance: float
    num_rows: int
    num_draws: int


def weights(probability_M: FloatArray, num_rows: int) -> FloatArray:
    """Return v_M.

    Args:
        probability_M: q, of all draws that are labelled: the first M, in the order of drawing.
        num_rows: N, at least M.
    """
    num, m = len(probability_M), np.arange(1, len(probability_M) + 1)
    if num == num_rows:
        return np.ones(num)
    factor_M = (num_rows - num) / (num_rows - m)
    return np.asarray(1.0 + factor_M * (1.0 / ((num_rows - m + 1) * probability_M) - 1.0), dtype=np.float64)


def estimate(
    truth_M: FloatArray, expected_M: FloatArray, mean_expected: float, probability_M: FloatArray, num_rows: int
) -> Estimate:
    """Return the estimate of mean_i y_i, and its variance.

    Args:
        truth_M: y, in the order of drawing.
        expected_M: e of the draws; zeros, with a mean of 0, do without the control variate.
        mean_expected: mean_i e_i over all N rows.
        probability_M: q.
        num_rows: N.

    Raises:
        ValueError: There are no draws, more of them than rows, or probabilities out of (0, 1].
    """
    num = len(truth_M)
    if not 1 <= num <= num_rows:
        raise ValueError(f"{num} draws of {num_rows} rows tell nothing")
    if not ((probability_M > 0) & (probability_M <= 1.0 + 1e-9)).all():
        raise ValueError("probability_M has numbers outside (0, 1]")
    residual_M = truth_M - expected_M
    value = float((weights(probability_M, num_rows) * residual_M).mean())
    if num == num_rows or num == 1:
        return Estimate(mean_expected + value, 0.0, num_rows, num)
    m = np.arange(1, num + 1)
    before_M = np.concatenate([[0.0], np.cumsum(residual_M)[:-1]])
    a_M = residual_M / (num_rows * probability_M) + before_M / num_rows
    c_M = num_rows * (num_rows - num) / ((num_rows - m) * (num_rows - m + 1.0))
    variance = float((c_M**2 * (a_M - value) ** 2).sum()) / (num * (num - 1))
    return Estimate(mean_expected + value, variance, num_rows, num)


def t_interval(found: Estimate, level: float) -> tuple[float, float]:
    """Return Student's interval, for many draws or of losses that have no bound.

    Args:
        found: The estimate, of two draws or more.
        level: Confidence level, for example 0.95.
    """
    half = _t(found, level) * found.variance**0.5
    return found.value - half, found.value + half


def share_interval(found: Estimate, means: TableMeans, count: int, level: float) -> tuple[float, float]:
    """Return the module's interval of a share, within what the drawn rows leave possible.

    Args:
        found: The estimate.
        means: What the model expects over the table.
        count: Number of the M draws whose y is 1.
        level: Confidence level, for example 0.95.
    """
    ends = _score_ends(found, means, NormalDist().inv_cdf(0.5 + level / 2))
    if found.num_draws > 1:
        ends = [*ends, *t_interval(found, level)]
    least = count / found.num_rows
    most = 1.0 - (found.num_draws - count) / found.num_rows
    low, high = min(ends), max(ends)
    return min(max(low, least), most), max(min(high, most), least)


def _t(found: Estimate, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(found.num_draws - 1, 0.5 + level / 2))


def _score_ends(found: Estimate, means: TableMeans, z: float) -> list[float]:
    """Return ends, and points within, of {θ in [0, 1] : (estimate − θ)² ≤ z² V(θ)}, one piece of S after the other."""
    mean = min(max(means.mean, 0.0), 1.0)
    at_0, at_mean, at_1 = means.residual_squares()
    scale = z * z * (1.0 - found.num_draws / found.num_rows) / found.num_draws
    inside: list[float] = [min(max(found.value, 0.0), 1.0)]
    for begin, end, from_, to in ((0.0, mean, at_0, at_mean), (mean, 1.0, at_mean, at_1)):
        if end > begin:
            inside += _piece(found.value, mean, scale, (begin, end), (from_, to))
    return inside


def _piece(value: float, mean: float, scale: float, ends: Sequence[float], at: Sequence[float]) -> list[float]:
    """Return roots within a piece, and those of its ends that belong to the set.

    (value − θ)² − scale · (S(θ) − (θ − mean)²) is a parabola, S being linear.
    """
    slope = (at[1] - at[0]) / (ends[1] - ends[0])
    constant = value**2 - scale * (at[0] - slope * ends[0] - mean**2)
    linear = -2.0 * value - scale * (slope + 2.0 * mean)
    square = 1.0 + scale
    found = [theta for theta in ends if square * theta**2 + linear * theta + constant <= 1e-12]
    inner = linear**2 - 4.0 * square * constant
    if inner >= 0.0:
        roots = [(-linear + sign * inner**0.5) / (2.0 * square) for sign in (-1.0, 1.0)]
        found += [root for root in roots if ends[0] <= root <= ends[1]]
    return found
