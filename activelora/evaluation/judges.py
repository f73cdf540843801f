"""How each kind of task is measured: from log-probabilities and labels to a document and a table of predictions.

Letters: N items, C answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from activelora.campaign.records import Item
from activelora.evaluation import (
    evaluation,
    multi_label_evaluation,
    regression_evaluation,
    regression_metrics,
    temperature,
)
from activelora.evaluation.classification_metrics import FloatArray, IntArray, predicted_labels
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.tasks.multi_label import MultiLabel
from activelora.tasks.regression import Regression
from activelora.tasks.task import Task

CHOICE_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("predicted", pa.int64(), nullable=False),
        pa.field("confidence", pa.float64(), nullable=False),
        pa.field("probs", pa.list_(pa.float64()), nullable=False),  # one per answer of this item
    ]
)
NUMBER_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("label", pa.float64(), nullable=False),  # the number, on the grid
        pa.field("predicted", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),  # of the central interval at evaluation.confidence_level
        pa.field("high", pa.float64(), nullable=False),
        pa.field("variance", pa.float64(), nullable=False),
        pa.field("probs", pa.list_(pa.float64()), nullable=False),  # over the grid
    ]
)


SET_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("label", pa.list_(pa.string()), nullable=False),
        pa.field("predicted", pa.list_(pa.string()), nullable=False),
        pa.field("probs", pa.list_(pa.float64()), nullable=False),  # of yes, one a label of the task
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


def judge_of(task: Task) -> Judge:
    """Return the judge of a task."""
    if isinstance(task, Regression):
        return NumberJudge(task)
    return SetJudge(task) if isinstance(task, MultiLabel) else ChoiceJudge(task)


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
                    "probs": probs[: len(self._task.query(item).answers)],
                }
                for item, label, predicted, probs in rows
            ],
            schema=CHOICE_SCHEMA,
        )


class NumberJudge:
    """A number on a grid.

    Args:
        task: The task.
    """

    def __init__(self, task: Regression) -> None:
        self._values_C = np.array(task.values)

    def evaluate(self, log_probs_NC: FloatArray, labels_N: IntArray, settings: EvaluationSettings) -> dict[str, Any]:
        """Measure errors and spread."""
        probs_NC = temperature.scale(log_probs_NC, 1.0)
        return regression_evaluation.evaluate(probs_NC, labels_N, self._values_C, settings)

    def evaluate_scaled(
        self, log_probs_NC: FloatArray, labels_N: IntArray, fitted: float, settings: EvaluationSettings
    ) -> dict[str, Any]:
        """Measure the same with a temperature."""
        probs_NC = temperature.scale(log_probs_NC, fitted)
        return regression_evaluation.evaluate_scaled(probs_NC, labels_N, self._values_C, settings)

    def fit_temperature(self, log_probs_NC: FloatArray, labels_N: IntArray) -> float:
        """Fit by the labels' NLL."""
        return temperature.fit_temperature(log_probs_NC, labels_N)

    def predictions(
        self, items: Sequence[Item], labels_N: IntArray, log_probs_NC: FloatArray, settings: EvaluationSettings
    ) -> pa.Table:
        """Return expected value, central interval and variance."""
        probs_NC = temperature.scale(log_probs_NC, 1.0)
        low_N, high_N = regression_metrics.central_interval(probs_NC, self._values_C, settings.level)
        columns = {
            "item_id": [item.item_id for item in items],
            "label": self._values_C[labels_N],
            "predicted": regression_metrics.expected_values(probs_NC, self._values_C),
            "low": low_N,
            "high": high_N,
            "variance": regression_metrics.predictive_variance(probs_NC, self._values_C),
            "probs": list(probs_NC),
        }
        return pa.table(columns, schema=NUMBER_SCHEMA)


class SetJudge:
    """Any number of labels; log-probabilities are (N, C, 2), no and yes.

    Args:
        task: The task.
    """

    def __init__(self, task: MultiLabel) -> None:
        self._names = task.label_names

    def evaluate(self, log_probs_NC: FloatArray, labels_N: IntArray, settings: EvaluationSettings) -> dict[str, Any]:
        """Measure sets and decisions."""
        return multi_label_evaluation.evaluate(_yes(log_probs_NC, 1.0), labels_N, settings)

    def evaluate_scaled(
        self, log_probs_NC: FloatArray, labels_N: IntArray, fitted: float, settings: EvaluationSettings
    ) -> dict[str, Any]:
        """Measure the scaled decisions."""
        return multi_label_evaluation.evaluate_scaled(_yes(log_probs_NC, fitted), labels_N, settings)

    def fit_temperature(self, log_probs_NC: FloatArray, labels_N: IntArray) -> float:
        """Fit by the NLL of the decisions."""
        flat_M = multi_label_evaluation.bits(labels_N, len(self._names)).ravel()
        return temperature.fit_temperature(log_probs_NC.reshape(-1, 2), flat_M)

    def predictions(
        self, items: Sequence[Item], labels_N: IntArray, log_probs_NC: FloatArray, settings: EvaluationSettings
    ) -> pa.Table:
        """Return true and predicted labels by name, and the probability of each."""
        yes_NC = _yes(log_probs_NC, 1.0)
        true_NC = multi_label_evaluation.bits(labels_N, len(self._names))
        columns = {
            "item_id": [item.item_id for item in items],
            "label": [self._named(row) for row in true_NC],
            "predicted": [self._named(row) for row in yes_NC > 0.5],
            "probs": list(yes_NC),
        }
        return pa.table(columns, schema=SET_SCHEMA)

    def _named(self, has_C: Iterable[object]) -> list[str]:
        return [name for name, has in zip(self._names, has_C, strict=True) if has]


def _yes(log_probs_NC2: FloatArray, fitted: float) -> FloatArray:
    probs_M2 = temperature.scale(log_probs_NC2.reshape(-1, 2), fitted)
    return np.asarray(probs_M2[:, 1].reshape(log_probs_NC2.shape[:2]), dtype=np.float64)
