"""Whether stated probabilities hold: expected calibration error and the bins behind it.

Letters: N items, C classes, M bins. Confidence is the probability of the predicted label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from activelora.evaluation.classification_metrics import FloatArray, IntArray, check_predictions, correct_predictions


@dataclass(frozen=True)
class ReliabilityBins:
    """What a reliability diagram shows.

    Attributes:
        edges: M+1 edges; bin m holds ``edges[m] <= confidence < edges[m+1]``, the last one its upper edge too.
        count_M: Items in each bin.
        confidence_M: Their mean confidence; NaN in an empty bin.
        accuracy_M: The share of them that is right; NaN in an empty bin.
    """

    edges: FloatArray
    count_M: IntArray
    confidence_M: FloatArray
    accuracy_M: FloatArray

    @property
    def ece(self) -> float:
        """Σ_m n_m/N · |accuracy_m − confidence_m|; empty bins add nothing."""
        gap_M = np.abs(self.accuracy_M - self.confidence_M)
        return float(np.where(self.count_M > 0, gap_M, 0.0) @ self.count_M / self.count_M.sum())


def bin_numbers(confidence_N: FloatArray, edges: FloatArray) -> IntArray:
    """Return the bin of every confidence: half-open, 1.0 in the last one."""
    inner = edges[1:-1]
    return np.asarray(np.searchsorted(inner, confidence_N, side="right"), dtype=np.int64)


def reliability_bins(probs_NC: FloatArray, labels_N: IntArray, num_bins: int) -> ReliabilityBins:
    """Group the items by confidence into M bins of equal width on [0, 1]."""
    correct_N = correct_predictions(probs_NC, labels_N)
    return confidence_bins(probs_NC.max(axis=1), correct_N, num_bins)


def confidence_bins(confidence_N: FloatArray, correct_N: FloatArray, num_bins: int) -> ReliabilityBins:
    """Group items whose confidence need not be that of a distribution; ``correct_N`` is 1.0 or 0.0."""
    return _grouped(confidence_N, correct_N, np.linspace(0.0, 1.0, num_bins + 1))


def ece(probs_NC: FloatArray, labels_N: IntArray, num_bins: int = 15) -> float:
    """Return the expected calibration error (Naeini et al. 2015; Guo et al. 2017): L1, M equal-width bins, 0 ... 1.

    It has an upward bias that shrinks with N: with few items in a bin, even a calibrated model shows gaps.
    """
    return reliability_bins(probs_NC, labels_N, num_bins).ece


def adaptive_ece(probs_NC: FloatArray, labels_N: IntArray, num_bins: int = 15) -> float:
    """Return the ECE over M bins of equal mass (Nixon et al. 2019), with the confidences' quantiles as edges.

    Items of equal confidence stay in one bin, so that the value does not depend on the order of the rows.
    """
    return adaptive_confidence_ece(probs_NC.max(axis=1), correct_predictions(probs_NC, labels_N), num_bins)


def adaptive_confidence_ece(confidence_N: FloatArray, correct_N: FloatArray, num_bins: int) -> float:
    """Return :func:`adaptive_ece` of given confidences."""
    edges = np.quantile(confidence_N, np.linspace(0.0, 1.0, num_bins + 1))
    return _grouped(confidence_N, correct_N, edges).ece


def classwise_ece(probs_NC: FloatArray, labels_N: IntArray, num_bins: int = 15) -> float:
    """Return the mean over classes of the ECE of "it is this class" (Kull et al. 2019), equal-width bins.

    All C classes count alike, also those that no item has. Meaningless where items have their own choices.
    """
    check_predictions(probs_NC, labels_N)
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    columns = range(probs_NC.shape[1])
    return float(np.mean([_grouped(probs_NC[:, c], (labels_N == c).astype(np.float64), edges).ece for c in columns]))


def _grouped(confidence_N: FloatArray, correct_N: FloatArray, edges: FloatArray) -> ReliabilityBins:
    num_bins = len(edges) - 1
    bins_N = bin_numbers(confidence_N, edges)
    count_M = np.bincount(bins_N, minlength=num_bins).astype(np.int64)
    with np.errstate(invalid="ignore"):
        confidence_M = np.bincount(bins_N, confidence_N, num_bins) / count_M
        accuracy_M = np.bincount(bins_N, correct_N, num_bins) / count_M
    return ReliabilityBins(edges, count_M, confidence_M, accuracy_M)
