"""Confidence intervals of any metric, by drawing the items again and again.

Letters: N items, B resamples, M bins, C classes. A resample is a row of weights: how often each item was drawn, over
N. A metric of weighted items is then a function of ``weights_BN``, computed for all resamples at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from activelora.evaluation.calibration import bin_numbers
from activelora.evaluation.classification_metrics import (
    FloatArray,
    IntArray,
    class_f1,
    correct_predictions,
    predicted_labels,
)

Statistic = Callable[[FloatArray], FloatArray]
"""weights_BN, rows that sum to one → values_B."""

_CHUNK_CELLS = 4_000_000


def percentile_interval(
    statistic: Statistic, num_items: int, *, num_resamples: int, level: float, seed: int
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a metric (Efron 1979).

    Resampling adds noise of its own, and metrics that grow with noise, ECE above all, come out too high: see
    :func:`centred_interval`.

    Args:
        statistic: The metric, as a function of resampling weights.
        num_items: N. With one item the interval has no width.
        num_resamples: B.
        level: Confidence level, for example 0.95.
        seed: The same seed gives the same interval, and pairs the resamples of several metrics.
    """
    values_B = _resampled(statistic, num_items, num_resamples, seed)
    return _ends(values_B, level)


def centred_interval(
    statistic: Statistic, num_items: int, *, num_resamples: int, level: float, seed: int
) -> tuple[float, float]:
    """Return the bootstrap interval of a metric that grows with noise, less the bias that resampling adds.

    The bias is estimated as the bootstrap does, by the resamples' mean minus the metric of the items themselves (Efron
    and Tibshirani 1993, chapter 10), and taken off. So the interval holds the metric that was measured, where the plain
    one can lie above it. That the metric itself lies high on few items, it does not undo. Arguments are those of
    :func:`percentile_interval`; no end is below 0.
    """
    values_B = _resampled(statistic, num_items, num_resamples, seed)
    measured = float(statistic(np.full((1, num_items), 1.0 / num_items))[0])
    low, high = _ends(values_B - (np.nanmean(values_B) - measured), level)
    return max(0.0, min(low, measured)), max(high, measured)


def variance(statistic: Statistic, num_items: int, *, num_resamples: int, seed: int) -> float:
    """Return the bootstrap variance of a metric. Arguments are those of :func:`percentile_interval`."""
    return float(np.nanvar(_resampled(statistic, num_items, num_resamples, seed), ddof=1))


def _ends(values_B: FloatArray, level: float) -> tuple[float, float]:
    tail = (1.0 - level) / 2.0
    low, high = np.nanquantile(values_B, [tail, 1.0 - tail])
    return float(low), float(high)


def _resampled(statistic: Statistic, num_items: int, num_resamples: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_CELLS // num_items)
    share = np.full(num_items, 1.0 / num_items)
    values: list[FloatArray] = []
    for start in range(0, num_resamples, chunk):
        counts_BN = rng.multinomial(num_items, share, size=min(chunk, num_resamples - start))
        values.append(statistic(counts_BN / num_items))
    return np.concatenate(values)


def mean_of(values_N: FloatArray) -> Statistic:
    """Return the weighted mean of per-item values: accuracy of correctness, NLL of per-item NLL, and so on."""
    return lambda weights_BN: weights_BN @ values_N


def weighted(statistic: Statistic, weights_N: FloatArray) -> Statistic:
    """Return a metric of items that do not count alike: a resample keeps their weights (Hájek's estimator).

    Args:
        statistic: The metric.
        weights_N: How much each item counts, above 0.
    """

    def of_weighted(weights_BN: FloatArray) -> FloatArray:
        product_BN = weights_BN * weights_N
        return statistic(product_BN / product_BN.sum(axis=1, keepdims=True))

    return of_weighted


def ece_of(probs_NC: FloatArray, labels_N: IntArray, num_bins: int) -> Statistic:
    """Return the ECE: Σ_m |Σ_{i in bin m} w_i (correct_i − confidence_i)|."""
    return confidence_ece_of(probs_NC.max(axis=1), correct_predictions(probs_NC, labels_N), num_bins)


def confidence_ece_of(confidence_N: FloatArray, correct_N: FloatArray, num_bins: int) -> Statistic:
    """Return :func:`ece_of` of given confidences; ``correct_N`` is 1.0 or 0.0."""
    bins_N = bin_numbers(confidence_N, np.linspace(0.0, 1.0, num_bins + 1))
    gap_N = correct_N - confidence_N
    gap_NM = np.eye(num_bins)[bins_N] * gap_N[:, None]
    return lambda weights_BN: np.abs(weights_BN @ gap_NM).sum(axis=1)


def macro_f1_of(probs_NC: FloatArray, labels_N: IntArray) -> Statistic:
    """Return the macro-F1 over the classes that occur in the resample."""
    num_classes = probs_NC.shape[1]
    cells_N = labels_N * num_classes + predicted_labels(probs_NC)
    cells, cell_N = np.unique(cells_N, return_inverse=True)
    occupied_NP = np.eye(len(cells))[cell_N]

    def statistic(weights_BN: FloatArray) -> FloatArray:
        confusion_BCC = np.zeros((len(weights_BN), num_classes**2))
        confusion_BCC[:, cells] = weights_BN @ occupied_NP
        f1_BC = class_f1(confusion_BCC.reshape(-1, num_classes, num_classes))
        return np.asarray(np.nanmean(f1_BC, axis=1))

    return statistic
