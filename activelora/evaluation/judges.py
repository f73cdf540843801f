"""How a kind of task is measured: from log-probabilities and labels to a document and a table of predictions.

Every kind names its judge (:attr:`activelora.tasks.task.Kind.judge`); the one here serves all kinds whose items have
one answer out of several.

Letters: N items, C answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from activelora.campaign.records import Item
from activelora.evaluation import conformal, evaluation, temperature
from activelora.evaluation.abstention import Outcomes
from activelora.evaluation.classification_metrics import (
    FloatArray,
    IntArray,
    correct_predictions,
    predicted_labels,
)
from activelora.evaluation.conformal import ConformalSettings, Covered, Said, TooFewRowsError
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.tasks.task import Task

if TYPE_CHECKING:
    from activelora.uncertainty.text_measures import TokenScores

CHOICE_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("predicted", pa.int64(), nullable=False),
        pa.field("confidence", pa.float64(), nullable=False),
        pa.field("probs", pa.list_(pa.float64()), nullable=False),  # one per answer of this item
    ]
)


class Judge(Protocol):
    """Measures one kind of task. The first argument of each method is what the model said, averaged over samples."""

    def evaluate(self, log_probs_NC: FloatArray, labels_N: IntArray, settings: EvaluationSettings) -> dict[str, Any]:
        """Return the evaluation as a document."""

    def evaluate_scaled(
        self, log_probs_NC: FloatArray, labels_N: IntArray, fitted: float, settings: EvaluationSettings
    ) -> dict[str, Any]:
        """Return what changes with a temperature."""

    def fit_temperature(self, log_probs_NC: FloatArray, labels_N: IntArray) -> float:
        """Return the temperature that fits the calibration split best."""

    def predictions(
        self, items: Sequence[Item], labels_N: IntArray, log_probs_NC: FloatArray, settings: EvaluationSettings
    ) -> pa.Table:
        """Return a row for every item."""

    def conformal(self, calibration: Said, holdout: Said, fitted: float, settings: ConformalSettings) -> Covered:
        """Return prediction sets from calibration items, 1/α − 1 or more of them, and what they do on the holdout."""

    def outcomes(self, log_probs_NC: FloatArray, labels_N: IntArray, fitted: float) -> Outcomes | None:
        """Return how sure the model is of each answer and which are right; None where answers are near or far."""


class WrittenJudge(Protocol):
    """Measures a kind of task whose answers the model writes."""

    def means_the_same(self, left: str, right: str) -> bool:
        """Tell whether two written answers are the same answer. Asked for measures of meaning alone."""

    def evaluate(
        self,
        items: Sequence[Item],
        gold: Sequence[str],
        written: Sequence[str],
        scores: Sequence[TokenScores],
        gold_scores: Sequence[TokenScores],
        settings: EvaluationSettings,
    ) -> tuple[dict[str, Any], pa.Table]:
        """Return the evaluation as a document, and a row for every item.

        Args:
            items: N items.
            gold: Their gold answers.
            written: The model's own.
            scores: What its samples say about its own answers, token by token.
            gold_scores: The same about the gold answers.
            settings: How to measure.
        """


class ChoiceJudge:
    """One answer out of several.

    Args:
        task: The task.
    """

    def __init__(self, task: Task) -> None:
        self._task = task

    def evaluate(self, log_probs_NC: FloatArray, labels_N: IntArray, settings: EvaluationSettings) -> dict[str, Any]:
        """Measure probabilities and most probable labels."""
        return evaluation.evaluate(temperature.scale(log_probs_NC, 1.0), labels_N, settings)

    def evaluate_scaled(
        self, log_probs_NC: FloatArray, labels_N: IntArray, fitted: float, settings: EvaluationSettings
    ) -> dict[str, Any]:
        """Measure the scaled probabilities."""
        return evaluation.evaluate_scaled(temperature.scale(log_probs_NC, fitted), labels_N, settings)

    def fit_temperature(self, log_probs_NC: FloatArray, labels_N: IntArray) -> float:
        """Fit by the labels' NLL."""
        return temperature.fit_temperature(log_probs_NC, labels_N)

    def predictions(
        self, items: Sequence[Item], labels_N: IntArray, log_probs_NC: FloatArray, settings: EvaluationSettings
    ) -> pa.Table:
        """Return predicted label, its confidence and all probabilities."""
        probs_NC = temperature.scale(log_probs_NC, 1.0)
        rows = zip(items, labels_N.tolist(), predicted_labels(probs_NC).tolist(), probs_NC.tolist(), strict=True)
        return pa.Table.from_pylist(
            [
                {
                    "item_id": item.item_id,
                    "label": label,
                    "predicted": predicted,
                    "confidence": probs[predicted],
                    "probs": probs[: len(self._task.queries(item)[0].answers)],
                }
                for item, label, predicted, probs in rows
            ],
            schema=CHOICE_SCHEMA,
        )

    def conformal(self, calibration: Said, holdout: Said, fitted: float, settings: ConformalSettings) -> Covered:
        """Make sets of answers; of labels that all items have, with a threshold for each where that can be."""
        probs_NC = temperature.scale(calibration.log_probs_NC, fitted)
        rule, remark = replace(settings.rule, has_own_answers=not self._task.label_names), ""
        found = conformal.fit_sets(probs_NC, calibration.labels_N, settings.alpha, rule, calibration.draws_N)
        if settings.class_conditional and self._task.label_names:
            try:
                found = found.by_class(probs_NC, calibration.labels_N, calibration.draws_N)
            except TooFewRowsError as error:
                remark = f"one threshold for all labels: {error}"
        sets_NC = found.sets(temperature.scale(holdout.log_probs_NC, fitted), holdout.draws_N)
        covered_N = sets_NC[np.arange(len(holdout.labels_N)), holdout.labels_N]
        return Covered(found, covered_N.astype(np.float64), sets_NC.sum(axis=1).astype(np.float64), remark)

    def outcomes(self, log_probs_NC: FloatArray, labels_N: IntArray, fitted: float) -> Outcomes:
        """Return the most probable answer's probability, and whether it is right."""
        probs_NC = temperature.scale(log_probs_NC, fitted)
        return Outcomes(probs_NC.max(axis=1), correct_predictions(probs_NC, labels_N))
