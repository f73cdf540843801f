"""How uncertain a predictive distribution is: nine measures, each larger where the model is less certain.

Letters: N items, K posterior samples, C answers. All take ``log_probs_NKC``, normalised log-probabilities in nats; an
item with fewer answers is padded with ``-inf``, which is probability 0 and adds nothing to an entropy. With
p̄ = mean_k p_k (docs/methods.md; Settles 2009, "Active Learning Literature Survey", for the classical ones).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activelora.errors import DIVERGED, ConfigError, ModelError
from activelora.registry import unknown_name
from activelora.uncertainty.measure_facts import DISAGREEMENT, MeasureFacts, declared, declares
from activelora.uncertainty.semantic_entropy import MEANING_MEASURES
from activelora.uncertainty.text_measures import ORACLE_NLL, TEXT_MEASURES

FloatArray = NDArray[np.float64]
Measure = Callable[[FloatArray], FloatArray]
"""log_probs_NKC → scores_N."""
NumberMeasure = Callable[[FloatArray, FloatArray], FloatArray]
"""log_probs_NKC, values_C → scores_N."""

ROUNDING = 1e-9
"""Nats below zero that mutual information may reach by rounding; more is a mistake in the numbers."""
_SUM_TOLERANCE = 1e-3


def least_confidence(log_probs_NKC: FloatArray) -> FloatArray:
    """Return 1 − max_c p̄_c, in [0, 1 − 1/C] (Lewis and Gale 1994)."""
    highest_N: FloatArray = _mean_probs(log_probs_NKC).max(axis=1)
    return 1.0 - highest_N


@declares(MeasureFacts(lowest=-1.0))
def margin(log_probs_NKC: FloatArray) -> FloatArray:
    """Return −(p̄₁ − p̄₂), the two largest probabilities, in [−1, 0] (Scheffer et al. 2001).

    An item with one possible answer has p̄₂ = 0.
    """
    probs_NC = _mean_probs(log_probs_NKC)
    if probs_NC.shape[1] == 1:
        return -probs_NC[:, 0]
    ordered_NC = np.sort(probs_NC, axis=1)
    return ordered_NC[:, -2] - ordered_NC[:, -1]


def predictive_entropy(log_probs_NKC: FloatArray) -> FloatArray:
    """Return H[p̄] = −Σ_c p̄_c ln p̄_c in nats, in [0, ln C] (Shannon 1948): total uncertainty."""
    return entropy(_mean_probs(log_probs_NKC))


def expected_entropy(log_probs_NKC: FloatArray) -> FloatArray:
    """Return mean_k H[p_k] in nats, in [0, ln C]: the part that more labels would not remove (aleatoric)."""
    mean_N: FloatArray = entropy(_checked_probs(log_probs_NKC)).mean(axis=1)
    return mean_N


@declares(DISAGREEMENT)
def bald(log_probs_NKC: FloatArray) -> FloatArray:
    """Return H[p̄] − mean_k H[p_k] in nats, the mutual information of answer and weights, in [0, ln min(K, C)].

    Houlsby et al. 2011, "Bayesian Active Learning for Classification and Preference Learning". The part that labels
    can remove (epistemic). Jensen's inequality makes it ≥ 0; only rounding noise is clipped.

    Raises:
        ModelError: It is below zero by more than rounding can explain, or a number is NaN.
    """
    information_N = predictive_entropy(log_probs_NKC) - expected_entropy(log_probs_NKC)
    if len(information_N) and (lowest := float(information_N.min())) < -ROUNDING:
        row = int(information_N.argmin())
        raise ModelError(f"bald is {lowest:.3g} nats in row {row}, and mutual information cannot be negative")
    return np.maximum(information_N, 0.0)


@declares(DISAGREEMENT)
def variation_ratio(log_probs_NKC: FloatArray) -> FloatArray:
    """Return 1 − f/K, f the votes for the most voted answer, in [0, 1 − 1/min(K, C)] (Freeman 1965).

    Each sample votes for its most probable answer, the first of equals. One sample always agrees with itself: 0.
    """
    return np.asarray(1.0 - _votes(log_probs_NKC).max(axis=1), dtype=np.float64)


@declares(DISAGREEMENT)
def vote_entropy(log_probs_NKC: FloatArray) -> FloatArray:
    """Return −Σ_c v_c ln v_c in nats, v_c the share of samples that vote for c (Dagan and Engelson 1995).

    Query by committee, hard votes: in [0, ln min(K, C)]. Votes are cast as in :func:`variation_ratio`.
    """
    return entropy(_votes(log_probs_NKC))


@declares(DISAGREEMENT)
def consensus_kl(log_probs_NKC: FloatArray) -> FloatArray:
    """Return mean_k KL(p_k ‖ p̄) in nats, in [0, ln min(K, C)] (McCallum and Nigam 1998).

    Query by committee, soft votes. Since mean_k Σ_c p_kc ln p̄_c = −H[p̄], it equals :func:`bald` if the
    posterior samples are the committee; computed here from its own formula.
    """
    probs_NKC = _checked_probs(log_probs_NKC)
    mean_N1C = probs_NKC.mean(axis=1, keepdims=True)
    ratios = np.divide(probs_NKC, mean_N1C, out=np.ones_like(probs_NKC), where=probs_NKC > 0)
    divergence_N: FloatArray = (probs_NKC * np.log(ratios)).sum(axis=2).mean(axis=1)
    return np.maximum(divergence_N, 0.0)


@declares(DISAGREEMENT)
def variance(log_probs_NKC: FloatArray) -> FloatArray:
    """Return Σ_c Var_k p_kc, how far the samples' probabilities scatter, in [0, 1 − 1/min(K, C)] (Gal et al. 2017).

    The variance is over the K samples as they are (divided by K), so one sample has none. Summed over the classes, not
    averaged: answers that an item does not have change nothing.
    """
    probs_NKC = _checked_probs(log_probs_NKC)
    variance_N: FloatArray = probs_NKC.var(axis=1).sum(axis=1)
    return variance_N


MEASURES: dict[str, Measure] = {
    "least_confidence": least_confidence,
    "margin": margin,
    "predictive_entropy": predictive_entropy,
    "expected_entropy": expected_entropy,
    "bald": bald,
    "variation_ratio": variation_ratio,
    "vote_entropy": vote_entropy,
    "consensus_kl": consensus_kl,
    "variance": variance,
}


def number_variance(log_probs_NKC: FloatArray, values_C: FloatArray) -> FloatArray:
    """Return Var[y] = mean_k Var[y | k] + Var_k E[y | k] of a number y, in its squared unit (law of total variance).

    Args:
        log_probs_NKC: The samples' distributions over the grid.
        values_C: The grid's numbers.
    """
    probs_NKC = _checked_probs(log_probs_NKC)
    means_NK = probs_NKC @ values_C
    within_NK = (probs_NKC * (values_C - means_NK[:, :, None]) ** 2).sum(axis=2)
    total_N: FloatArray = within_NK.mean(axis=1) + means_NK.var(axis=1)
    return total_N


@declares(DISAGREEMENT)
def epistemic_variance(log_probs_NKC: FloatArray, values_C: FloatArray) -> FloatArray:
    """Return Var_k E[y | k], the part of `variance` on which the samples disagree; 0 with one sample."""
    means_NK = _checked_probs(log_probs_NKC) @ values_C
    between_N: FloatArray = means_NK.var(axis=1)
    return between_N


def mean_over_labels(measure: Measure, log_probs_NKC2: FloatArray) -> FloatArray:
    """Return the mean over C labels of a measure of each label's distribution over no and yes."""
    num_items, num_samples, num_labels, _ = log_probs_NKC2.shape
    scores_M = measure(log_probs_NKC2.transpose(0, 2, 1, 3).reshape(-1, num_samples, 2))
    mean_N: FloatArray = scores_M.reshape(num_items, num_labels).mean(axis=1)
    return mean_N


NUMBER_MEASURES: dict[str, NumberMeasure] = {"variance": number_variance, "epistemic_variance": epistemic_variance}
"""Measures for regression, beside :data:`MEASURES`."""


def facts_of(name: str) -> MeasureFacts:
    """Return what a measure declares; the defaults where there is none of that name.

    Args:
        name: Name in the campaign file.
    """
    known: dict[str, Callable[..., Any]] = {**TEXT_MEASURES, **MEANING_MEASURES, **NUMBER_MEASURES, **MEASURES}
    return declared(known.get(name))


def known_measures() -> list[str]:
    """Return the names of all measures, of every kind of task."""
    return list(dict.fromkeys([*MEASURES, *NUMBER_MEASURES, *TEXT_MEASURES, *MEANING_MEASURES, ORACLE_NLL]))


def check_measure(name: str, key: str = "acquisition.measure", offered: Collection[str] = ()) -> None:
    """Refuse a measure that does not exist.

    Args:
        name: What the setting says.
        key: The setting, for the message.
        offered: Measures of the campaign's kind of task, for the message; nothing for all.

    Raises:
        ConfigError: There is none of that name; the nearest one is named.
    """
    if name not in known_measures():
        error: ConfigError = unknown_name(key, name, offered or known_measures())
        raise error


def _checked_probs(log_probs_NKC: FloatArray) -> FloatArray:
    """Return exp(log_probs_NKC) in float64.

    Raises:
        ValueError: It is not a stack of distributions.
        ModelError: It holds NaN.
    """
    if log_probs_NKC.ndim != 3 or 0 in log_probs_NKC.shape[1:]:
        raise ValueError(f"log_probs_NKC must be (N, K, C) with K and C at least 1, not {log_probs_NKC.shape}")
    bad_N = np.atleast_1d(np.isnan(log_probs_NKC).any(axis=(1, 2)))
    if bad_N.any():
        raise ModelError(
            f"log_probs_NKC is NaN for {int(bad_N.sum())} of {len(bad_N)} items, first in row {int(bad_N.argmax())}",
            remedy=DIVERGED,
        )
    probs_NKC: FloatArray = np.exp(log_probs_NKC.astype(np.float64, copy=False))
    off_NK = np.abs(probs_NKC.sum(axis=2) - 1.0)
    if off_NK.size and not (off_NK < _SUM_TOLERANCE).all():
        row, sample = np.unravel_index(int(off_NK.argmax()), off_NK.shape)
        raise ValueError(f"log_probs_NKC is not normalised in row {row}, sample {sample}: give log-probabilities")
    return probs_NKC


def _votes(log_probs_NKC: FloatArray) -> FloatArray:
    """Return votes_NC, the share of samples whose most probable answer, the first of equals, is c."""
    probs_NKC = _checked_probs(log_probs_NKC)
    votes_NK = probs_NKC.argmax(axis=2)
    answers = range(probs_NKC.shape[2])
    votes_NC = np.stack([(votes_NK == answer).sum(axis=1) for answer in answers], axis=1)
    return np.asarray(votes_NC / probs_NKC.shape[1], dtype=np.float64)


def _mean_probs(log_probs_NKC: FloatArray) -> FloatArray:
    mean_NC: FloatArray = _checked_probs(log_probs_NKC).mean(axis=1)
    return mean_NC


def entropy(probs: FloatArray) -> FloatArray:
    """Return −Σ p ln p over the last axis, with 0 ln 0 = 0."""
    logs = np.log(probs, out=np.zeros_like(probs), where=probs > 0)
    total: FloatArray = (probs * logs).sum(axis=-1)
    return np.maximum(-total, 0.0)
