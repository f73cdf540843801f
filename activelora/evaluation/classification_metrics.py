"""How good predictions are: accuracy, macro-F1, NLL, Brier score, risk against coverage.

Letters: N items, C classes. Rows of ``probs_NC`` may be padded with zeros where an item has fewer answers; the
metrics that speak of classes (confusion matrix, macro-F1, accuracy per class, Brier decomposition) then mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PROBABILITY_FLOOR = float(np.finfo(np.float64).eps)
"""A true label's probability below this counts as this in the NLL (36.04 nats), as in scikit-learn's ``log_loss``:
one impossible label would otherwise make the mean infinite and hide every other item."""


@dataclass(frozen=True)
class BrierDecomposition:
    """``brier = reliability - resolution + uncertainty``, exactly.

    Attributes:
        reliability: Squared gap between stated probability and observed frequency; 0 is calibrated. Smaller is better.
        resolution: How far predictions tell items apart (generalised: within-bin terms included). Larger is better.
        uncertainty: Brier score of always stating the class frequencies; a property of the data alone.
    """

    reliability: float
    resolution: float
    uncertainty: float


@dataclass(frozen=True)
class RiskCoverage:
    """What part of the answers is wrong if only the most confident ones are given.

    Attributes:
        coverage_N: k/N for k = 1 ... N, the share of items that are answered.
        risk_N: The share of those that are wrong.
    """

    coverage_N: FloatArray
    risk_N: FloatArray

    @property
    def area(self) -> float:
        """AURC: mean risk over all coverages (Geifman, Uziel and El-Yaniv 2019). Smaller is better."""
        return float(self.risk_N.mean())


def check_predictions(probs_NC: FloatArray, labels_N: IntArray) -> None:
    """Refuse what is no set of predictions.

    Raises:
        ValueError: No items, shapes that do not fit, NaN, values outside [0, 1], rows that do not sum to one, or a
            label that is no column. The message names the array and the row.
    """
    if probs_NC.ndim != 2 or len(probs_NC) == 0 or labels_N.shape != (len(probs_NC),):
        raise ValueError(f"probs_NC {probs_NC.shape} and labels_N {labels_N.shape} must be (N, C) and (N,), N >= 1")
    if (bad := ~np.isfinite(probs_NC).all(axis=1)).any():
        raise ValueError(f"probs_NC has NaN or infinity in row {int(bad.argmax())}")
    if (bad := ((probs_NC < 0) | (probs_NC > 1 + 1e-9)).any(axis=1)).any():
        raise ValueError(f"probs_NC has a value outside [0, 1] in row {int(bad.argmax())}")
    if (bad := np.abs(probs_NC.sum(axis=1) - 1) > 1e-6).any():
        raise ValueError(f"probs_NC does not sum to one in row {int(bad.argmax())}")
    if (bad := (labels_N < 0) | (labels_N >= probs_NC.shape[1])).any():
        row = int(bad.argmax())
        raise ValueError(f"labels_N has {labels_N[row]} in row {row}; there are {probs_NC.shape[1]} classes")


def predicted_labels(probs_NC: FloatArray) -> IntArray:
    """Return the most probable label of every item; of equal ones, the first."""
    return np.asarray(probs_NC.argmax(axis=1), dtype=np.int64)


def correct_predictions(probs_NC: FloatArray, labels_N: IntArray) -> FloatArray:
    """Return 1.0 where the predicted label is the true one, else 0.0."""
    check_predictions(probs_NC, labels_N)
    return np.asarray(predicted_labels(probs_NC) == labels_N, dtype=np.float64)


def accuracy(probs_NC: FloatArray, labels_N: IntArray) -> float:
    """Return the share of items whose most probable label is the true one."""
    return float(correct_predictions(probs_NC, labels_N).mean())


def confusion_matrix(probs_NC: FloatArray, labels_N: IntArray) -> IntArray:
    """Return item counts, true label by predicted label, shape (C, C)."""
    check_predictions(probs_NC, labels_N)
    num_classes = probs_NC.shape[1]
    cells = labels_N * num_classes + predicted_labels(probs_NC)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.int64)


def class_accuracy(confusion_CC: IntArray) -> FloatArray:
    """Return the share of each class's items that were recognised (recall); NaN for a class without items."""
    return _ratio(np.diag(confusion_CC), confusion_CC.sum(axis=1))


def class_precision(confusion_CC: IntArray) -> FloatArray:
    """Return the share of each class's predictions that were right; NaN for a class that was never predicted."""
    return _ratio(np.diag(confusion_CC), confusion_CC.sum(axis=0))


def class_f1(confusion_CC: NDArray[np.float64] | IntArray) -> FloatArray:
    """Return 2·TP / (2·TP + FP + FN) per class; NaN for a class that is neither true nor predicted anywhere.

    Args:
        confusion_CC: Counts or weights, true by predicted; leading axes are kept.
    """
    hits = np.diagonal(confusion_CC, axis1=-2, axis2=-1)
    return _ratio(2 * hits, confusion_CC.sum(axis=-1) + confusion_CC.sum(axis=-2))


def macro_f1(probs_NC: FloatArray, labels_N: IntArray) -> float:
    """Return the mean F1 over the classes that occur as truth or as prediction, as scikit-learn does."""
    return float(np.nanmean(class_f1(confusion_matrix(probs_NC, labels_N))))


def item_nll(probs_NC: FloatArray, labels_N: IntArray) -> FloatArray:
    """Return −ln of the true label's probability for every item, in nats, floored at :data:`PROBABILITY_FLOOR`."""
    check_predictions(probs_NC, labels_N)
    true_N = np.take_along_axis(probs_NC, labels_N[:, None], axis=1)[:, 0]
    return np.asarray(-np.log(np.clip(true_N, PROBABILITY_FLOOR, 1.0)) + 0.0, dtype=np.float64)


def nll(probs_NC: FloatArray, labels_N: IntArray) -> float:
    """Return the mean negative log-likelihood in nats per item."""
    return float(item_nll(probs_NC, labels_N).mean())


def item_brier(probs_NC: FloatArray, labels_N: IntArray) -> FloatArray:
    """Return the squared distance between probabilities and the one-hot truth, summed over classes: 0 ... 2."""
    check_predictions(probs_NC, labels_N)
    return np.asarray(((probs_NC - _one_hot(labels_N, probs_NC.shape[1])) ** 2).sum(axis=1))


def brier(probs_NC: FloatArray, labels_N: IntArray) -> float:
    """Return the mean Brier score, summed over classes (Brier 1950): 0 is perfect, 2 is sure and always wrong."""
    return float(item_brier(probs_NC, labels_N).mean())


def brier_decomposition(probs_NC: FloatArray, labels_N: IntArray, num_bins: int) -> BrierDecomposition:
    """Split the Brier score into reliability, resolution and uncertainty.

    Murphy's decomposition (1973) of each class against the rest over equal-width bins, summed over classes. With
    bins it is exact only with the within-bin variance and covariance, which belong to the generalised resolution
    (Stephenson, Coelho and Jolliffe 2008).
    """
    check_predictions(probs_NC, labels_N)
    truth_NC = _one_hot(labels_N, probs_NC.shape[1])
    parts = np.zeros(3)
    for column in range(probs_NC.shape[1]):
        parts += _binary_decomposition(probs_NC[:, column], truth_NC[:, column], num_bins)
    return BrierDecomposition(*(float(part) for part in parts))


def _binary_decomposition(probs_N: FloatArray, truth_N: FloatArray, num_bins: int) -> FloatArray:
    bins_N = np.minimum((probs_N * num_bins).astype(np.int64), num_bins - 1)
    count_M = np.bincount(bins_N, minlength=num_bins)
    filled = np.maximum(count_M, 1)
    mean_prob_N = (np.bincount(bins_N, probs_N, num_bins) / filled)[bins_N]
    frequency_N = (np.bincount(bins_N, truth_N, num_bins) / filled)[bins_N]
    base = truth_N.mean()
    reliability = ((mean_prob_N - frequency_N) ** 2).mean()
    within_variance = ((probs_N - mean_prob_N) ** 2).mean()
    within_covariance = ((probs_N - mean_prob_N) * (truth_N - frequency_N)).mean()
    resolution = ((frequency_N - base) ** 2).mean() - within_variance + 2 * within_covariance
    return np.array([reliability, resolution, base * (1 - base)])


def risk_coverage(probs_NC: FloatArray, labels_N: IntArray) -> RiskCoverage:
    """Answer the most confident items first, and count the wrong ones.

    Items of equal confidence share their mean error: the curve is the expectation over their order, so that it does not
    depend on the order of the rows.
    """
    return confidence_risk(probs_NC.max(axis=1), correct_predictions(probs_NC, labels_N))


def confidence_risk(confidence_N: FloatArray, correct_N: FloatArray) -> RiskCoverage:
    """Return :func:`risk_coverage` of given confidences; ``correct_N`` is 1.0 or 0.0."""
    wrong_N = 1.0 - correct_N
    _, group_N, size_G = np.unique(-confidence_N, return_inverse=True, return_counts=True)
    error_G = np.bincount(group_N, wrong_N) / size_G
    answered_N = np.arange(1, len(wrong_N) + 1)
    risk_N = np.cumsum(np.repeat(error_G, size_G)) / answered_N
    return RiskCoverage(answered_N / len(wrong_N), risk_N)


def _ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> FloatArray:
    out = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return out


def _one_hot(labels_N: IntArray, num_classes: int) -> FloatArray:
    return np.eye(num_classes, dtype=np.float64)[labels_N]
