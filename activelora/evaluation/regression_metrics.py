"""How good predicted numbers are, and whether their stated spread holds.

Letters: N items, C grid values (ascending), B resamples. Numbers and errors are in the labels' own unit.
"""

from __future__ import annotations

import numpy as np

from activelora.evaluation.bootstrap import Statistic
from activelora.evaluation.classification_metrics import FloatArray

_REACH = 1e-9
"""Share by which a cumulative probability may miss a quantile through rounding."""


def expected_values(probs_NC: FloatArray, values_C: FloatArray) -> FloatArray:
    """Return the prediction E[y] = Σ_c p_c · value_c of every item."""
    return np.asarray(probs_NC @ values_C, dtype=np.float64)


def predictive_variance(probs_NC: FloatArray, values_C: FloatArray) -> FloatArray:
    """Return Var[y] of every item's predictive distribution."""
    centred_NC = values_C - expected_values(probs_NC, values_C)[:, None]
    return np.asarray((probs_NC * centred_NC**2).sum(axis=1), dtype=np.float64)


def central_interval(probs_NC: FloatArray, values_C: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Return low_N and high_N, the grid values at which the cumulative probability reaches (1 ∓ level) / 2.

    The interval holds at least ``level`` of the probability: on a coarse grid a good deal more.
    """
    cumulative_NC = probs_NC.cumsum(axis=1)
    tail = (1.0 - level) / 2.0
    last = len(values_C) - 1
    low_N = (cumulative_NC < tail - _REACH).sum(axis=1)
    high_N = (cumulative_NC < 1.0 - tail - _REACH).sum(axis=1)
    return values_C[np.minimum(low_N, last)], values_C[np.minimum(high_N, last)]


def covered(low_N: FloatArray, high_N: FloatArray, true_N: FloatArray) -> FloatArray:
    """Return 1.0 where the true number lies within the interval, its ends included, else 0.0."""
    return np.asarray((low_N <= true_N) & (true_N <= high_N), dtype=np.float64)


def rmse_of(errors_N: FloatArray) -> Statistic:
    """Return the root of the weighted mean squared error."""
    return lambda weights_BN: np.sqrt(weights_BN @ errors_N**2)


def spearman_of(predicted_N: FloatArray, true_N: FloatArray) -> Statistic:
    """Return Spearman's rank correlation under weights: Pearson's, of mid-ranks that count weights instead of items.

    With equal weights it is the usual one. NaN where either side has one value only.
    """

    def statistic(weights_BN: FloatArray) -> FloatArray:
        left_BN = _centred(_mid_ranks(predicted_N, weights_BN), weights_BN)
        right_BN = _centred(_mid_ranks(true_N, weights_BN), weights_BN)
        product_B = (weights_BN * left_BN * right_BN).sum(axis=1)
        scale_B = np.sqrt((weights_BN * left_BN**2).sum(axis=1) * (weights_BN * right_BN**2).sum(axis=1))
        out_B = np.full(len(weights_BN), np.nan)
        np.divide(product_B, scale_B, out=out_B, where=scale_B > _REACH**2)
        return out_B

    return statistic


def _mid_ranks(numbers_N: FloatArray, weights_BN: FloatArray) -> FloatArray:
    """Return each item's rank: the weight below its number, and half of the weight at it."""
    order_N = np.argsort(numbers_N, kind="stable")
    ordered_N = numbers_N[order_N]
    below_N = np.searchsorted(ordered_N, numbers_N, side="left")
    upto_N = np.searchsorted(ordered_N, numbers_N, side="right")
    sums_BN = np.pad(weights_BN[:, order_N].cumsum(axis=1), ((0, 0), (1, 0)))
    return np.asarray((sums_BN[:, below_N] + sums_BN[:, upto_N]) / 2.0, dtype=np.float64)


def _centred(ranks_BN: FloatArray, weights_BN: FloatArray) -> FloatArray:
    return np.asarray(ranks_BN - (weights_BN * ranks_BN).sum(axis=1, keepdims=True), dtype=np.float64)
