"""Risk control: above which confidence the model may answer alone, with an error that is at most r.

Learn then Test (Angelopoulos, Bates, Candès, Jordan and Lei 2021). Each threshold t stands for the hypothesis that of
the answers with a confidence of at least t, more than r are wrong. Of n such answers in a calibration split k are
wrong; if the hypothesis holds, so few have at most the probability p = P(Binomial(n, r) ≤ k). Thresholds are tested
one after another, from strict to lenient, as long as p ≤ δ; the last that passes is taken. Then, with a probability of
at least 1 − δ over the calibration split, the error of what is answered alone is at most r.

The split's other half, on which the temperature is fitted, says which thresholds there are and with which one the
tests begin: the one that it would itself reject most clearly. The tests know nothing of that half (split fixed-sequence
testing, section 4 of the paper).

Letters: N items, T thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from activelora.evaluation.classification_metrics import FloatArray, IntArray
from activelora.intervals import wilson_interval

NUM_THRESHOLDS = 40
"""A grid of shares: what the model is surest of in steps of 2.5 %."""
OFFERED_RISKS = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Errors for which an evaluation says what could be answered alone, beside the campaign's own."""


class Outcomes(NamedTuple):
    """What became of answers.

    Attributes:
        confidence_N: How sure the model was.
        correct_N: 1.0 where the answer was right, else 0.0.
    """

    confidence_N: FloatArray
    correct_N: FloatArray


@dataclass(frozen=True)
class Abstention:
    """The counts behind every threshold.

    Attributes:
        confidence: 1 − δ.
        thresholds_T: Confidences, descending.
        learned_T2: Answers at or above each threshold, and wrong ones among them, in the half that orders the tests.
        tested_T2: The same in the half that is tested on.
        num_tested: Its size.
    """

    confidence: float
    thresholds_T: FloatArray
    learned_T2: IntArray
    tested_T2: IntArray
    num_tested: int

    def threshold(self, max_risk: float) -> float | None:
        """Return the lowest confidence at which the model may answer alone; None if no threshold passes.

        The statement holds for one r that is chosen beforehand, not for the best of several.

        Args:
            max_risk: r, the largest error of what is answered alone, in [0, 1].
        """
        learned_T, tested_T = p_values(self.learned_T2, max_risk), p_values(self.tested_T2, max_risk)
        begin = len(learned_T) - 1 - int(learned_T[::-1].argmin())  # of equal ones, the one that answers most
        passed_T = tested_T[begin:] <= 1.0 - self.confidence + 1e-12
        num_passed = len(passed_T) if passed_T.all() else int(passed_T.argmin())
        return float(self.thresholds_T[begin + num_passed - 1]) if num_passed else None

    def document(self) -> dict[str, Any]:
        """Return it as JSON; :func:`from_document` reads it."""
        return {
            "confidence": self.confidence,
            "num_items": self.num_tested,
            "thresholds": self.thresholds_T.tolist(),
            "learned": self.learned_T2.tolist(),
            "tested": self.tested_T2.tolist(),
        }


def from_document(document: Mapping[str, Any] | None) -> Abstention | None:
    """Return what ``abstention`` of an ``evaluation.json`` says; None where it has no thresholds."""
    if document is None:
        return None
    return Abstention(
        float(document["confidence"]),
        np.array(document["thresholds"], dtype=np.float64),
        np.array(document["learned"], dtype=np.int64).reshape(-1, 2),
        np.array(document["tested"], dtype=np.int64).reshape(-1, 2),
        int(document["num_items"]),
    )


def fit(learned: Outcomes, tested: Outcomes, confidence: float) -> Abstention:
    """Return what can be tested for any error.

    Args:
        learned: Outcomes of the half that orders the tests.
        tested: Outcomes of the other half.
        confidence: 1 − δ, in (0, 1).

    Raises:
        ValueError: A half is empty.
    """
    if not len(learned.correct_N) or not len(tested.correct_N):
        raise ValueError("both halves need items")
    sorted_N = np.sort(learned.confidence_N)[::-1]
    shares = np.arange(1, NUM_THRESHOLDS + 1) / NUM_THRESHOLDS
    ranks = np.ceil(shares * len(sorted_N) - 1e-9).astype(np.int64) - 1
    thresholds_T = np.unique(np.append(sorted_N[ranks[:-1]], 0.0))[::-1].astype(np.float64)
    counts = (counts_at(thresholds_T, learned), counts_at(thresholds_T, tested))
    return Abstention(confidence, thresholds_T, *counts, len(tested.correct_N))


def counts_at(thresholds_T: FloatArray, outcomes: Outcomes) -> IntArray:
    """Return counts_T2: how many answers are at or above each threshold, and how many of those are wrong."""
    above_TN = outcomes.confidence_N >= thresholds_T[:, None]
    wrong_TN = above_TN & (outcomes.correct_N == 0)
    return np.stack([above_TN.sum(axis=1), wrong_TN.sum(axis=1)], axis=1).astype(np.int64)


def p_values(counts_T2: IntArray, max_risk: float) -> FloatArray:
    """Return P(Binomial(n, r) ≤ k) of every threshold's n answers, k of them wrong; 1 where there are none."""
    from scipy.special import bdtr

    num_T, wrong_T = counts_T2[:, 0], counts_T2[:, 1]
    p_T = bdtr(wrong_T.astype(np.float64), num_T, max_risk)
    return np.asarray(np.where(num_T > 0, p_T, 1.0), dtype=np.float64)


def operating_point(found: Abstention, max_risk: float, holdout: Outcomes, level: float) -> dict[str, Any]:
    """Return what a threshold does on the holdout, which had no part in it.

    Keys: ``max_risk``, ``threshold`` (None if none passes), ``share`` that is answered alone with ``share_interval``,
    its ``error`` with ``error_interval`` (None where nothing is answered).

    Args:
        found: The thresholds.
        max_risk: r.
        holdout: Outcomes of the holdout, at least one.
        level: Confidence level of the intervals.
    """
    threshold, total = found.threshold(max_risk), len(holdout.correct_N)
    num, wrong = (0, 0) if threshold is None else map(int, counts_at(np.array([threshold]), holdout)[0])
    return {
        "max_risk": max_risk,
        "threshold": threshold,
        "share": num / total,
        "share_interval": list(wilson_interval(num, total, level)),
        "error": wrong / num if num else None,
        "error_interval": list(wilson_interval(wrong, num, level)) if num else None,
    }


def words(point: Mapping[str, Any], found: Abstention) -> str:
    """Return an operating point as people read it.

    ``39 % could be answered alone at an error of at most 5 % (90 % confidence)``.

    Args:
        point: What :func:`operating_point` returns, as it stands under ``holdout`` and ``offered`` of a document.
        found: What :func:`from_document` returns.
    """
    sure = f"at an error of at most {100 * point['max_risk']:g} % ({100 * found.confidence:g} % confidence)"
    if point["threshold"] is not None:
        return f"{100 * point['share']:.0f} % could be answered alone {sure}"
    needed = fewest(point["max_risk"], found.confidence)
    if found.num_tested >= needed:
        return f"nothing can be answered alone {sure}"
    rows = f"at least {needed} calibration rows are needed, and there are {found.num_tested}"
    return f"nothing can be answered alone {sure}: {rows}"


def fewest(max_risk: float, confidence: float) -> int:
    """Return the smallest n at which n right answers of n reject an error above r: (1 − r)ⁿ ≤ δ.

    Args:
        max_risk: r, in (0, 1).
        confidence: 1 − δ, in (0, 1).
    """
    return math.ceil(math.log(1.0 - confidence) / math.log(1.0 - max_risk) - 1e-9)
