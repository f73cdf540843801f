"""Metrics of classes and of one label, as functions of resampling weights: for points and intervals alike.

What scikit-learn computes with ``sample_weight``, for all resamples at once. Items that the model cannot tell apart
share one threshold. A metric that a resample has no items for is NaN there.

Letters: N items, B resamples, C classes, G groups of equal scores.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from activelora.evaluation.bootstrap import Statistic
from activelora.evaluation.classification_metrics import FloatArray, IntArray, check_predictions, predicted_labels

_ROUNDING = 1e-9  # sums of weights are fractions: 9 of 10 is a little less than 0.9 to a computer


def balanced_accuracy_of(probs_NC: FloatArray, labels_N: IntArray) -> Statistic:
    """Return the mean recall over the classes that occur as truth in the resample."""
    confusion = _confusion_of(probs_NC, labels_N)

    def statistic(weights_BN: FloatArray) -> FloatArray:
        confusion_BCC = confusion(weights_BN)
        recall_BC = _ratio(np.diagonal(confusion_BCC, axis1=1, axis2=2), confusion_BCC.sum(axis=2))
        return np.asarray(np.nanmean(recall_BC, axis=1))

    return statistic


def mcc_of(probs_NC: FloatArray, labels_N: IntArray) -> Statistic:
    """Return Matthews' correlation coefficient, for several classes Gorodkin's (2004) R_K, in [−1, 1].

    0 where one class alone is true or predicted, as in scikit-learn.
    """
    confusion = _confusion_of(probs_NC, labels_N)

    def statistic(weights_BN: FloatArray) -> FloatArray:
        confusion_BCC = confusion(weights_BN)
        true_BC, said_BC = confusion_BCC.sum(axis=2), confusion_BCC.sum(axis=1)
        right_B, total_B = np.trace(confusion_BCC, axis1=1, axis2=2), confusion_BCC.sum(axis=(1, 2))
        covariance_B = right_B * total_B - (true_BC * said_BC).sum(axis=1)
        spread_B = (total_B**2 - (true_BC**2).sum(axis=1)) * (total_B**2 - (said_BC**2).sum(axis=1))
        defined_B = spread_B > _ROUNDING**2
        return np.where(defined_B, covariance_B / np.sqrt(np.where(defined_B, spread_B, 1.0)), 0.0)

    return statistic


def f_beta_of(probs_NC: FloatArray, labels_N: IntArray, positive: int, beta: float) -> Statistic:
    """Return (1 + β²)·TP / ((1 + β²)·TP + β²·FN + FP) of one label; 0 where it is never found.

    Args:
        probs_NC: Predictive distributions; the most probable label is the predicted one.
        labels_N: True labels.
        positive: The label.
        beta: How much recall counts against precision: 1 alike, 2 more, 0.5 less.
    """
    check_predictions(probs_NC, labels_N)
    true_N, said_N = labels_N == positive, predicted_labels(probs_NC) == positive
    hit_N, missed_N, false_N = (
        part.astype(np.float64) for part in (true_N & said_N, true_N & ~said_N, said_N & ~true_N)
    )

    def statistic(weights_BN: FloatArray) -> FloatArray:
        hits_B = (1.0 + beta**2) * (weights_BN @ hit_N)
        return _ratio(hits_B, hits_B + beta**2 * (weights_BN @ missed_N) + weights_BN @ false_N)

    return statistic


def average_precision_of(probs_NC: FloatArray, labels_N: IntArray, positive: int) -> Statistic:
    """Return Σ (R_g − R_{g−1})·P_g over the thresholds of one label's probability, highest first.

    The mean precision at which the label's items are found; the share of its items is what a random order has.
    """
    ranked = _ranked_by(probs_NC, labels_N, positive)

    def statistic(weights_BN: FloatArray) -> FloatArray:
        hits_BG, all_BG = ranked(weights_BN)
        precision_BG = np.nan_to_num(_ratio(hits_BG, all_BG))
        gained_BG = np.diff(hits_BG, axis=1, prepend=0.0)
        return _ratio((gained_BG * precision_BG).sum(axis=1), hits_BG[:, -1])

    return statistic


def recall_at_precision_of(probs_NC: FloatArray, labels_N: IntArray, positive: int, precision: float) -> Statistic:
    """Return the largest share of a label's items found at a threshold whose precision is at least the given one.

    0 where no threshold reaches it. The threshold is the best one on these very items, so that few of them flatter it.
    """
    ranked = _ranked_by(probs_NC, labels_N, positive)

    def statistic(weights_BN: FloatArray) -> FloatArray:
        hits_BG, all_BG = ranked(weights_BN)
        reached_BG = np.nan_to_num(_ratio(hits_BG, all_BG)) >= precision - _ROUNDING
        return _ratio(np.where(reached_BG, hits_BG, 0.0).max(axis=1), hits_BG[:, -1])

    return statistic


def _confusion_of(probs_NC: FloatArray, labels_N: IntArray) -> Callable[[FloatArray], FloatArray]:
    """Return what makes confusion_BCC, true by predicted, of resampling weights."""
    check_predictions(probs_NC, labels_N)
    num_classes = probs_NC.shape[1]
    cells, cell_N = np.unique(labels_N * num_classes + predicted_labels(probs_NC), return_inverse=True)
    occupied_NP = np.eye(len(cells))[cell_N]

    def confusion(weights_BN: FloatArray) -> FloatArray:
        flat = np.zeros((len(weights_BN), num_classes**2))
        flat[:, cells] = weights_BN @ occupied_NP
        return flat.reshape(-1, num_classes, num_classes)

    return confusion


def _ranked_by(
    probs_NC: FloatArray, labels_N: IntArray, positive: int
) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    """Return what makes weights of a label's items, and of all, that are at or above each threshold: (B, G) each."""
    check_predictions(probs_NC, labels_N)
    scores_N = probs_NC[:, positive]
    order_N = np.argsort(-scores_N, kind="stable")
    ends_G = np.append(np.flatnonzero(np.diff(scores_N[order_N])), len(scores_N) - 1)
    true_N = (labels_N == positive).astype(np.float64)[order_N]

    def ranked(weights_BN: FloatArray) -> tuple[FloatArray, FloatArray]:
        sorted_BN = weights_BN[:, order_N]
        return np.cumsum(sorted_BN * true_N, axis=1)[:, ends_G], np.cumsum(sorted_BN, axis=1)[:, ends_G]

    return ranked


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    out = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out
