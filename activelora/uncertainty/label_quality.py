"""Which given labels are probably wrong: confident learning (Northcutt, Jiang and Chuang, JAIR 2021).

All probabilities must be out of sample: from a model that was not trained on the item, as in cross-validation. A model
that has seen a wrong label repeats it.

Letters: N items, C classes. In matrices of C × C, row i is the given label, column j the true one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from activelora.errors import DataError
from activelora.intervals import wilson_interval

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TRUSTED = 0.6
"""Share of the labels that the model must surely agree with, where it is as sure as about one that it doubts."""
FEWEST = 20
"""That share is taken of at least this number of its surest answers."""
ROUNDING = 1e-12
"""The mean of equal probabilities can be rounded above them by less than this."""


@dataclass(frozen=True)
class LabelQuality:
    """What out-of-sample probabilities say about given labels.

    Attributes:
        self_confidence_N: The probability of the given label.
        predicted_N: The most probable label.
        suspect_N: True where the label is probably wrong.
        joint_CC: Estimated P(given i, true j); sums to 1.
    """

    self_confidence_N: FloatArray
    predicted_N: IntArray
    suspect_N: NDArray[np.bool_]
    joint_CC: FloatArray

    @property
    def error_rate(self) -> float:
        """The estimated share of wrong labels."""
        return float(1.0 - np.trace(self.joint_CC))

    @property
    def confusion(self) -> FloatArray:
        """P(given j | true i), a row for each true label, as ``labeling.oracle_confusion`` has it.

        NaN in the row of a label that is estimated to be never true.
        """
        true_C1 = self.joint_CC.sum(axis=0)[:, None]
        unknown_CC = np.full_like(self.joint_CC, np.nan)
        return np.asarray(np.divide(self.joint_CC.T, true_C1, out=unknown_CC, where=true_C1 > 0), dtype=np.float64)

    @property
    def ranking(self) -> IntArray:
        """The suspects' indices, by self-confidence, the least first; of equals the first item."""
        suspects = np.flatnonzero(self.suspect_N)
        return suspects[np.argsort(self.self_confidence_N[suspects], kind="stable")]


def assess_labels(labels_N: IntArray, probs_NC: FloatArray) -> LabelQuality:
    """Find labels that are probably wrong: the confident joint, pruned by noise rate.

    Args:
        labels_N: Given labels.
        probs_NC: Out-of-sample probabilities of the C labels.

    Raises:
        DataError: A probability is not a number, or the shapes do not fit.
    """
    labels_N, probs_NC = np.asarray(labels_N, dtype=np.int64), np.asarray(probs_NC, dtype=np.float64)
    _check(labels_N, probs_NC)
    joint_CC = noise_joint(labels_N, confident_joint(labels_N, probs_NC))
    return LabelQuality(
        self_confidence_N=probs_NC[np.arange(len(labels_N)), labels_N],
        predicted_N=probs_NC.argmax(axis=1),
        suspect_N=prune_by_noise_rate(labels_N, probs_NC, joint_CC),
        joint_CC=joint_CC,
    )


def confident_joint(labels_N: IntArray, probs_NC: FloatArray) -> IntArray:
    """Count items by given label i and confidently predicted label j (Eq. 1 of the paper).

    Label j is confident where its probability reaches the threshold t_j, the mean probability of j over the items
    that were given j. Of several confident labels the most probable counts, of equal ones the given label; without
    one the item is not counted. A label that no item was given has no threshold, and is never confident.

    Returns:
        Counts, C × C.
    """
    num_classes = probs_NC.shape[1]
    threshold_C = np.full(num_classes, np.inf)
    for label in np.unique(labels_N):
        threshold_C[label] = probs_NC[labels_N == label, label].mean()
    confident_NC = np.where(probs_NC >= threshold_C - ROUNDING, probs_NC, -1.0)
    best_N = confident_NC.max(axis=1)
    agrees_N = confident_NC[np.arange(len(labels_N)), labels_N] >= best_N
    confident_N = np.where(agrees_N, labels_N, confident_NC.argmax(axis=1))
    counts_CC = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts_CC, (labels_N[best_N >= 0], confident_N[best_N >= 0]), 1)
    return counts_CC


def noise_joint(labels_N: IntArray, counts_CC: IntArray) -> FloatArray:
    """Return the estimate of P(given i, true j): each row brought to the share of its label (Eq. 2 of the paper).

    A label of which no item is confident is taken to be right.
    """
    given_C = np.bincount(labels_N, minlength=len(counts_CC))
    counts_CC = counts_CC + np.diag(counts_CC.sum(axis=1) == 0)
    joint_CC = counts_CC / counts_CC.sum(axis=1, keepdims=True) * given_C[:, None]
    return np.asarray(joint_CC / joint_CC.sum(), dtype=np.float64)


def prune_by_noise_rate(labels_N: IntArray, probs_NC: FloatArray, joint_CC: FloatArray) -> NDArray[np.bool_]:
    """Mark, for each i ≠ j, the N · P(given i, true j) items given i whose margin p_j − p_i is largest.

    An item whose given label no other exceeds is never marked: the model agrees with it.
    """
    marked_N = np.zeros(len(labels_N), dtype=bool)
    for given in np.unique(labels_N):
        own = np.flatnonzero(labels_N == given)
        num_C = _whole(joint_CC[given] * len(labels_N), len(own))
        for true in np.flatnonzero(num_C):
            if true != given:
                margin = probs_NC[own, true] - probs_NC[own, given]
                marked_N[own[np.argsort(-margin, kind="stable")[: num_C[true]]]] = True
    marked_N &= probs_NC[np.arange(len(labels_N)), labels_N] < probs_NC.max(axis=1)
    return marked_N


def earned_doubts(labels_N: IntArray, probs_NC: FloatArray) -> NDArray[np.bool_]:
    """Mark the items where a doubt of the model's is worth a person's time.

    Confident learning takes the model for right where it is sure, and a model with few labels is often sure and wrong:
    it would accuse correct labels. So the model must, out of sample, agree with more labels than one answer for all
    would; and of the labels where it is as sure as about the item, or surer, it must agree with :data:`TRUSTED`. Both
    hold where the lower end of the share's 95 % interval says so.

    Args:
        labels_N: Given labels.
        probs_NC: Out-of-sample probabilities of the C labels.
    """
    agrees_N = probs_NC.argmax(axis=1) == labels_N
    most_frequent = np.bincount(labels_N).max() / len(labels_N)
    if wilson_interval(int(agrees_N.sum()), len(labels_N), 0.95)[0] <= most_frequent:
        return np.zeros(len(labels_N), dtype=bool)
    sure_N = probs_NC.max(axis=1)
    ordered_N = np.argsort(-sure_N, kind="stable")
    num_as_sure_N = np.searchsorted(-sure_N[ordered_N], -sure_N, side="right")
    num_as_sure_N = np.maximum(num_as_sure_N, min(FEWEST, len(labels_N)))
    num_agreed_N = np.cumsum(agrees_N[ordered_N])[num_as_sure_N - 1]
    shares = zip(num_agreed_N.tolist(), num_as_sure_N.tolist(), strict=True)
    return np.array([wilson_interval(agreed, total, 0.95)[0] >= TRUSTED for agreed, total in shares])


def _whole(expected_C: FloatArray, total: int) -> IntArray:
    """Round to whole numbers that sum to the total, by largest remainder."""
    whole_C = np.floor(expected_C + 1e-9).astype(np.int64)
    left = total - int(whole_C.sum())
    whole_C[np.argsort(-(expected_C - whole_C), kind="stable")[:left]] += 1
    return whole_C


def _check(labels_N: IntArray, probs_NC: FloatArray) -> None:
    if probs_NC.ndim != 2 or len(labels_N) != len(probs_NC) or not len(labels_N):
        raise DataError(f"{len(labels_N)} labels and probabilities of shape {probs_NC.shape} do not fit")
    if (bad := ~np.isfinite(probs_NC).all(axis=1)).any():
        raise DataError(f"the probabilities of {int(bad.sum())} items are not numbers, first item {int(bad.argmax())}")
    if labels_N.min() < 0 or labels_N.max() >= probs_NC.shape[1]:
        raise DataError(f"labels from {labels_N.min()} to {labels_N.max()}, and {probs_NC.shape[1]} classes")
