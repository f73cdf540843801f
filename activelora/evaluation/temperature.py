"""Temperature scaling (Guo et al. 2017): one number, fitted on a calibration split, that softens probabilities.

Letters: N items, C classes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from activelora.evaluation.classification_metrics import FloatArray, IntArray, nll

LOWEST, HIGHEST = 0.05, 20.0
"""T is sought between these. A calibration split without a single mistake asks for T = 0, and gets the lowest."""


def fit_temperature(log_probs_NC: FloatArray, labels_N: IntArray) -> float:
    """Return the T that minimises the NLL of ``softmax(log_probs / T)`` on a calibration split.

    Args:
        log_probs_NC: Log-probabilities, padded with −inf where an item has fewer answers.
        labels_N: True labels.

    Raises:
        ValueError: The log-probabilities have NaN, a row is impossible, or a label is no column.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return nll(scale(log_probs_NC, float(np.exp(log_temperature))), labels_N)

    found = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 1e-6})
    for bound in (LOWEST, HIGHEST):  # the search never quite comes to them, and stops early where the loss is flat
        if loss(float(np.log(bound))) <= found.fun:
            return bound
    return float(np.exp(found.x))


def bound_of(temperature: float) -> Literal["lowest", "highest"] | None:
    """Return which end of its range a fitted temperature has come to; None if it lies between them.

    At the lowest the calibration split has hardly a mistake, at the highest the answers are hardly better than guesses:
    either way it says little of which temperature is right.
    """
    if temperature <= LOWEST:
        return "lowest"
    return "highest" if temperature >= HIGHEST else None


def scale(log_probs_NC: FloatArray, temperature: float) -> FloatArray:
    """Return ``softmax(log_probs / T)`` as probs_NC. The ranking within an item, and so its label, stays.

    Raises:
        ValueError: NaN, +inf, or a row in which nothing is possible.
    """
    peak_N1 = log_probs_NC.max(axis=1, keepdims=True)
    if (bad := ~np.isfinite(peak_N1[:, 0])).any():
        raise ValueError(f"log_probs_NC has NaN, infinity or no possible answer in row {int(bad.argmax())}")
    exp_NC = np.exp((log_probs_NC - peak_N1) / temperature)
    return np.asarray(exp_NC / exp_NC.sum(axis=1, keepdims=True), dtype=np.float64)
