"""Split conformal prediction: sets of answers that hold the right one with a stated probability.

A score says how badly an answer fits an item. Of the n scores of a calibration split's right answers, the
⌈(n + 1)(1 − α)⌉-th smallest is the threshold, and an item's set holds every answer whose score is not above it. If
calibration items and new ones are exchangeable, the set holds the right answer with probability at least 1 − α,
whatever the model (Vovk et al. 2005; Angelopoulos and Bates 2021). The share that one threshold covers is itself drawn,
from Beta(n + 1 − l, l) with l = ⌊(n + 1)α⌋: of 100 scores and α = 0.1 it has a standard deviation of 3 points.

The scores are in :mod:`activelora.evaluation.conformal_scores`. Letters: N items, C answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from activelora.evaluation.classification_metrics import FloatArray, IntArray, check_predictions
from activelora.evaluation.conformal_scores import Rule

BoolArray = NDArray[np.bool_]


class TooFewRowsError(ValueError):
    """A calibration split is too small for the coverage that is asked for. Its text says so to people."""


@dataclass(frozen=True)
class ConformalSettings:
    """Which sets are wanted.

    Attributes:
        alpha: The share of items whose set may lack the right answer, in (0, 1).
        rule: How an answer is scored.
        class_conditional: Whether each label gets its own threshold where it has enough calibration items.
    """

    alpha: float
    rule: Rule
    class_conditional: bool


@dataclass(frozen=True)
class PredictionSets:
    """Thresholds that make sets of answers.

    Attributes:
        rule: How an answer is scored.
        alpha: The share of items whose set may lack the right answer.
        num_items: Calibration items behind the thresholds.
        threshold: The highest score that a set takes.
        thresholds_C: The same for each label by itself (Mondrian; Vovk et al. 2005), so that the coverage holds for
            the items of each label; None where one threshold serves all.
    """

    rule: Rule
    alpha: float
    num_items: int
    threshold: float
    thresholds_C: tuple[float, ...] | None = None

    def sets(self, probs_NC: FloatArray, draws_N: FloatArray | None = None) -> BoolArray:
        """Return sets_NC, True where the item's set holds the answer. A set may be empty: nothing fits.

        Args:
            probs_NC: Probabilities, made as those of the calibration split were: temperature and prior included.
            draws_N: What :meth:`draws` returns of the items. None makes the larger sets of u = 0, which cover too; it
                changes nothing for LAC.
        """
        limit = self.threshold if self.thresholds_C is None else np.array(self.thresholds_C)
        sets_NC = self.rule.scores(probs_NC, draws_N) <= limit
        return np.asarray(sets_NC & (probs_NC > 0) if self.rule.has_own_answers else sets_NC, dtype=np.bool_)

    def draws(self, item_ids: Sequence[str]) -> FloatArray:
        """Return u_N of items; see :class:`Rule`."""
        return self.rule.draws(item_ids)

    def document(self) -> dict[str, Any]:
        """Return it as JSON; :func:`from_document` reads it."""
        return {
            "form": "sets",
            "method": self.rule.method,
            "alpha": self.alpha,
            "num_items": self.num_items,
            "threshold": self.threshold,
            "class_thresholds": None if self.thresholds_C is None else list(self.thresholds_C),
            "seed": self.rule.seed,
            "penalty": self.rule.penalty,
            "free_ranks": self.rule.free_ranks,
            "has_own_answers": self.rule.has_own_answers,
        }

    def by_class(self, probs_NC: FloatArray, labels_N: IntArray, draws_N: FloatArray | None = None) -> Self:
        """Return it with a threshold for each label, from the calibration items of that label.

        Raises:
            TooFewRowsError: A label has too few of them.
        """
        check_predictions(probs_NC, labels_N)
        scores_NC = self.rule.scores(probs_NC, draws_N)
        counts_C = np.bincount(labels_N, minlength=probs_NC.shape[1])
        if (short_C := counts_C < fewest(self.alpha)).any():
            raise TooFewRowsError(
                f"a threshold for each label needs {fewest(self.alpha)} calibration rows of each; "
                f"{int(short_C.sum())} of {len(counts_C)} labels have fewer, one has {counts_C.min()}"
            )
        found = [quantile(scores_NC[labels_N == label, label], self.alpha) for label in range(len(counts_C))]
        return replace(self, thresholds_C=tuple(found))


@dataclass(frozen=True)
class PredictionIntervals:
    """A half width that makes intervals of numbers (absolute residuals; Lei et al. 2018).

    Attributes:
        alpha: The share of items whose interval may lack the right number.
        num_items: Calibration items behind it.
        half_width: The distance of the ends from the prediction, in the labels' unit.
        lowest: The smallest number that there is.
        highest: The largest.
    """

    alpha: float
    num_items: int
    half_width: float
    lowest: float
    highest: float

    def intervals(self, predicted_N: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return low_N and high_N, both within the numbers that there are."""
        low_N, high_N = predicted_N - self.half_width, predicted_N + self.half_width
        return np.clip(low_N, self.lowest, self.highest), np.clip(high_N, self.lowest, self.highest)

    def document(self) -> dict[str, Any]:
        """Return it as JSON; :func:`from_document` reads it."""
        return {
            "form": "intervals",
            "method": "absolute_residual",
            "alpha": self.alpha,
            "num_items": self.num_items,
            "half_width": self.half_width,
            "lowest": self.lowest,
            "highest": self.highest,
        }


class Said(NamedTuple):
    """What the model says of labelled items.

    Attributes:
        log_probs_NC: Log-probabilities, averaged over samples.
        labels_N: Right labels.
        draws_N: The items' draws.
    """

    log_probs_NC: FloatArray
    labels_N: IntArray
    draws_N: FloatArray


class Covered(NamedTuple):
    """Prediction sets and what they do on a holdout.

    Attributes:
        found: The sets or intervals.
        covered_N: 1.0 where an item's set holds what is right, else 0.0.
        size_N: How many answers an item's set holds, or how wide its interval is.
        remark: What is not as it was asked for, in words.
    """

    found: PredictionSets | PredictionIntervals
    covered_N: FloatArray
    size_N: FloatArray
    remark: str = ""


def from_document(document: Mapping[str, Any] | None) -> PredictionSets | PredictionIntervals | None:
    """Return what ``conformal`` of an ``evaluation.json`` says; None where it has no thresholds."""
    if document is None:
        return None
    alpha, num_items = float(document["alpha"]), int(document["num_items"])
    if document["form"] == "intervals":
        ends = float(document["lowest"]), float(document["highest"])
        return PredictionIntervals(alpha, num_items, float(document["half_width"]), *ends)
    rule = Rule(
        document["method"],
        int(document["seed"]),
        float(document["penalty"]),
        int(document["free_ranks"]),
        bool(document["has_own_answers"]),
    )
    by_class = document["class_thresholds"]
    thresholds = None if by_class is None else tuple(map(float, by_class))
    return PredictionSets(rule, alpha, num_items, float(document["threshold"]), thresholds)


def fit_sets(
    probs_NC: FloatArray, labels_N: IntArray, alpha: float, rule: Rule, draws_N: FloatArray | None = None
) -> PredictionSets:
    """Return one threshold for all items, with P(right answer in its set) ≥ 1 − α.

    Args:
        probs_NC: Predictive distributions of the calibration items.
        labels_N: Their right answers.
        alpha: The share that may be missed, in (0, 1).
        rule: How an answer is scored.
        draws_N: ``rule.draws`` of their ids; LAC has no draw.

    Raises:
        TooFewRowsError: N is below 1/α − 1.
    """
    check_predictions(probs_NC, labels_N)
    scores_N = rule.scores(probs_NC, draws_N)[np.arange(len(labels_N)), labels_N]
    return PredictionSets(rule, alpha, len(labels_N), quantile(scores_N, alpha))


def fit_label_sets(yes_NC: FloatArray, has_NC: IntArray, alpha: float) -> PredictionSets:
    """Return one threshold for items that may have several labels, with P(all right labels in its set) ≥ 1 − α.

    An item's score is that of its least probable right label, 1 − min p(y); of an item without labels it is 0.

    Args:
        yes_NC: Each label's own probability.
        has_NC: 1 where the calibration item has the label.
        alpha: The share of items of which a label may be missed, in (0, 1).

    Raises:
        TooFewRowsError: N is below 1/α − 1.
    """
    scores_N = np.where(has_NC > 0, 1.0 - yes_NC, 0.0).max(axis=1, initial=0.0)
    return PredictionSets(Rule(), alpha, len(has_NC), quantile(scores_N, alpha))


def fit_intervals(
    predicted_N: FloatArray, true_N: FloatArray, alpha: float, values_C: FloatArray
) -> PredictionIntervals:
    """Return the half width with P(right number in the interval) ≥ 1 − α.

    Args:
        predicted_N: Predictions for the calibration items.
        true_N: Their right numbers.
        alpha: The share that may be missed, in (0, 1).
        values_C: All numbers that there are.

    Raises:
        TooFewRowsError: N is below 1/α − 1.
    """
    half_width = quantile(np.abs(predicted_N - true_N), alpha)
    return PredictionIntervals(alpha, len(true_N), half_width, float(values_C.min()), float(values_C.max()))


def fewest(alpha: float) -> int:
    """Return the smallest n with n ≥ 1/α − 1."""
    return max(1, int(np.ceil(1.0 / alpha - 1.0 - 1e-9)))


def quantile(scores_N: FloatArray, alpha: float) -> float:
    """Return the ⌈(N + 1)(1 − α)⌉-th smallest score.

    Raises:
        TooFewRowsError: N is below 1/α − 1, where no score is high enough.
        ValueError: A score is NaN.
    """
    num = len(scores_N)
    if num < fewest(alpha):
        raise TooFewRowsError(
            f"a coverage of {100 * (1 - alpha):g} % needs at least {fewest(alpha)} calibration rows for thresholds, "
            f"and there are {num}"
        )
    if np.isnan(scores_N).any():
        raise ValueError(f"scores_N has NaN in row {int(np.isnan(scores_N).argmax())}")
    rank = num + 1 - int(np.floor((num + 1) * alpha + 1e-9))
    return float(np.sort(scores_N)[rank - 1])
