"""Is one method better than another? A paired test over seeds and holdout items, and Holm's correction.

Two campaigns of the same seed that differ in one setting are measured on the same items. The difference of their
scores on each item is ``d_SN``, and its mean estimates how much better one method is. Two things make that mean
uncertain: other seeds would have trained and selected otherwise, and other items would have been in the holdout. Both
are drawn at random and crossed (every seed meets every item), so the mean's variance is that of a crossed
random-effects model, ``σ_seed²/S + σ_item²/N + σ_rest²/(S·N)``. It is estimated from the mean squares of seeds and of
items (Clark 1973, min F′: the last term is counted twice, on the safe side), and its reference is Student's t with
Satterthwaite's degrees of freedom.

Why not resample seeds and items: three seeds have ten resamples. Their spread misses a third of the variance, and
nothing in them tells that three seeds estimate it badly; such a bootstrap calls one in five null differences
significant (the tests show it). Resampling items and seeds at once moreover counts σ_rest² three times (Owen 2007).

Letters: S seeds, N items, R rounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PairedTest:
    """How much better one method is than another.

    Attributes:
        difference: Mean of the paired differences; above 0 is better.
        low: Lower end of the confidence interval.
        high: Upper end.
        level: Confidence level of the interval, in (0, 1).
        p_value: Two-sided, of the null hypothesis that there is no difference.
        num_seeds: S.
        num_items: N; 1 where only the seeds' means were compared.
        error: Standard error of the difference.
        freedom: Its degrees of freedom.
    """

    difference: float
    low: float
    high: float
    level: float
    p_value: float
    num_seeds: int
    num_items: int
    error: float
    freedom: float


def paired_test(
    differences_SN: FloatArray, level: float = 0.95, least_variance: float = 0.0, item_variance: float = 0.0
) -> PairedTest:
    """Test whether the mean of crossed paired differences is zero.

    With one item a seed (its mean) this is the paired t-test over seeds. With one seed nothing is known about other
    seeds: the interval is then of the items alone, and the p-value is NaN.

    Args:
        differences_SN: Score of the method minus score of the control, by seed and holdout item.
        level: Confidence level of the interval, in (0, 1).
        least_variance: What the mean's variance is at least: a few seeds can agree by chance in spite of what each of
            them is known to be uncertain by.
        item_variance: What the draw of items that all seeds share adds to the mean's variance, where there is one item
            a seed: the seeds' spread cannot show it.

    Raises:
        ValueError: There are no differences, one is not a number, or a single one.
    """
    if differences_SN.ndim != 2 or differences_SN.size < 2:
        raise ValueError(f"two or more differences by seed and item are needed, not of shape {differences_SN.shape}")
    if not np.isfinite(differences_SN).all():
        raise ValueError("a difference is not a number")
    from scipy.stats import t as student

    num_seeds, num_items = differences_SN.shape
    mean = float(differences_SN.mean())
    variance, freedom = _variance_of_mean(differences_SN)
    if item_variance > 0:  # known from many resamples, so that only the seeds' part lacks degrees of freedom
        total = variance + item_variance
        freedom = freedom if num_seeds == 2 or variance == 0 else total**2 / (variance**2 / freedom)
        variance = total
    error = math.sqrt(max(variance, least_variance))
    half = float(student.ppf((1.0 + level) / 2.0, freedom)) * error if error > 0 else 0.0
    if num_seeds == 1:
        p_value = math.nan
    elif error == 0:
        p_value = 1.0 if mean == 0 else 0.0
    else:
        p_value = float(2.0 * student.sf(abs(mean) / error, freedom))
    return PairedTest(mean, mean - half, mean + half, level, p_value, num_seeds, num_items, error, freedom)


def _variance_of_mean(differences_SN: FloatArray) -> tuple[float, float]:
    """Return the variance of the grand mean and its degrees of freedom."""
    num_seeds, num_items = differences_SN.shape
    mean = differences_SN.mean()
    seed_effects_S, item_effects_N = differences_SN.mean(axis=1) - mean, differences_SN.mean(axis=0) - mean
    if num_seeds == 1 or num_items == 1:
        effects = item_effects_N if num_seeds == 1 else seed_effects_S
        return float((effects**2).sum() / (len(effects) - 1) / len(effects)), float(len(effects) - 1)
    # Mean squares in units of the mean's variance: each holds σ_rest²/(S·N), so the sum errs on the safe side.
    seed_part = float((seed_effects_S**2).sum() / (num_seeds - 1) / num_seeds)
    item_part = float((item_effects_N**2).sum() / (num_items - 1) / num_items)
    variance = seed_part + item_part
    if num_seeds == 2 or variance == 0:
        return variance, 1.0  # one difference between two seeds says too little about its own size
    return variance, variance**2 / (seed_part**2 / (num_seeds - 1) + item_part**2 / (num_items - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's (1979) adjusted p-values: below α, they keep the chance of any false claim among all below α.

    NaN, a test that could not be made, stays NaN and does not count.
    """
    made = sorted((p_value, index) for index, p_value in enumerate(p_values) if not math.isnan(p_value))
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (p_value, index) in enumerate(made):
        highest = max(highest, min(1.0, (len(made) - rank) * p_value))
        adjusted[index] = highest
    return adjusted


def area_weights(num_labels_R: Sequence[float]) -> FloatArray:
    """Return what each round counts in the area under the learning curve, a mean over labels by trapezoids.

    The weights sum to 1; the area of the differences is then the difference of the areas, item by item.

    Args:
        num_labels_R: Labels of the rounds, rising; two or more.
    """
    labels_R = np.asarray(num_labels_R, dtype=np.float64)
    steps = np.diff(labels_R)
    if len(labels_R) < 2 or (steps <= 0).any():
        raise ValueError(f"two or more rising label counts are needed, not {list(num_labels_R)}")
    weights_R = np.zeros(len(labels_R))
    weights_R[:-1] += steps / 2
    weights_R[1:] += steps / 2
    return np.asarray(weights_R / (labels_R[-1] - labels_R[0]))


def labels_to_target(num_labels_R: Sequence[float], values_R: Sequence[float], target: float) -> float | None:
    """Return the labels at which a curve first reaches a target, straight between rounds; None if it does not.

    Args:
        num_labels_R: Labels of the rounds, rising.
        values_R: The metric, higher is better.
        target: The value to reach.
    """
    for index, value in enumerate(values_R):
        if value >= target:
            if index == 0:
                return float(num_labels_R[0])
            before, step = values_R[index - 1], num_labels_R[index] - num_labels_R[index - 1]
            return float(num_labels_R[index - 1] + step * (target - before) / (value - before))
    return None
