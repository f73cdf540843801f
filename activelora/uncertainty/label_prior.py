"""Label-prior correction: an untrained model answers from its prior; divide that out.

Letters: N items, K posterior samples, C classes. Also known as contextual or batch calibration (Zhao et al. 2021;
Zhou et al. 2023): the prior is estimated as the mean prediction over unlabelled items.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from activelora.evaluation.classification_metrics import FloatArray

PRIOR_FLOOR = 1e-12
"""A label that the model never gives keeps at least this prior, so that dividing by it stays finite."""
STRENGTH = 1.0
"""n0 of :func:`shrunk`, chosen on TRAIN parts by the mean NLL (``python -m benchmarks.label_prior``)."""
LARGEST_SHARE = 0.8
"""Share of one label among the known ones above which the prior is not divided out (the same measurement)."""


def estimate_prior(log_probs_NKC: FloatArray) -> FloatArray:
    """Return the mean predicted probability of every class over items and samples, shape (C,), sum one.

    Where items have different numbers of answers (padded with −inf), each class is averaged over the items that have
    it, in multiples of the 1/C of an undecided model; a class that no item has gets the mean of the others.

    Raises:
        ValueError: No items, or NaN.
    """
    if log_probs_NKC.ndim != 3 or log_probs_NKC.size == 0:
        raise ValueError(f"log_probs_NKC must be (N, K, C) and not empty, not {log_probs_NKC.shape}")
    if (bad := np.isnan(log_probs_NKC).any(axis=(1, 2))).any():
        raise ValueError(f"log_probs_NKC has NaN in row {int(bad.argmax())}")
    has_NC = (log_probs_NKC > -np.inf).any(axis=1)
    lift_NC = np.exp(log_probs_NKC).mean(axis=1) * has_NC.sum(axis=1, keepdims=True)
    num_C = has_NC.sum(axis=0)
    prior_C = np.maximum(lift_NC.sum(axis=0) / np.maximum(num_C, 1), PRIOR_FLOOR)
    prior_C[num_C == 0] = prior_C[num_C > 0].mean()
    return np.asarray(prior_C / prior_C.sum(), dtype=np.float64)


def shrunk(prior_C: FloatArray, num_items: int, strength: float = STRENGTH) -> FloatArray:
    """Return the prior to the power n / (n + n0), sum one: the fewer items it comes from, the flatter.

    Args:
        prior_C: The prior.
        num_items: n, items that it was estimated from.
        strength: n0; 0 believes the prior whole.
    """
    power = num_items / (num_items + strength) if num_items else 0.0
    flat_C = np.maximum(prior_C, PRIOR_FLOOR) ** power
    return np.asarray(flat_C / flat_C.sum(), dtype=np.float64)


def is_lopsided(labels_N: NDArray[np.int64]) -> bool:
    """Tell whether one label is more than :data:`LARGEST_SHARE` of the labels that are known, a draw from the pool.

    The mean prediction over such a pool is the labels' true shares as much as the model's bias: dividing by it makes a
    good model worse.
    """
    return len(labels_N) > 0 and float(np.unique(labels_N, return_counts=True)[1].max()) > LARGEST_SHARE * len(labels_N)


def fitted(prior_C: FloatArray, num_answers: int) -> FloatArray:
    """Return the prior for items of at most ``num_answers`` answers, shape (num_answers,), where items bring their own.

    Answers that the prior knows nothing of get the mean of the others, which leaves them as they are.
    """
    return np.pad(prior_C[:num_answers], (0, max(0, num_answers - len(prior_C))), constant_values=prior_C.mean())


def correct(log_probs_NKC: FloatArray, prior_C: FloatArray) -> FloatArray:
    """Return log(p / prior), renormalised for every item and sample, shape (N, K, C).

    Raises:
        ValueError: The prior has another number of classes, or is not positive.
    """
    if prior_C.shape != log_probs_NKC.shape[-1:]:
        raise ValueError(f"prior_C {prior_C.shape} does not fit log_probs_NKC {log_probs_NKC.shape}")
    if not (np.isfinite(prior_C).all() and (prior_C > 0).all()):
        raise ValueError("prior_C must be positive and finite")
    corrected_NKC = log_probs_NKC - np.log(prior_C)
    total_NK1 = np.logaddexp.reduce(corrected_NKC, axis=-1, keepdims=True)
    return np.asarray(corrected_NKC - total_NK1, dtype=np.float64)
