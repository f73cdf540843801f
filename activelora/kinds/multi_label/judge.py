"""How predicted label sets are measured.

Letters: N items, C labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from activelora.campaign.records import Item
from activelora.evaluation import multi_label_evaluation, temperature
from activelora.evaluation.classification_metrics import FloatArray, IntArray
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.kinds.multi_label.task import MultiLabel

SET_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("label", pa.list_(pa.string()), nullable=False),
        pa.field("predicted", pa.list_(pa.string()), nullable=False),
        pa.field("probs", pa.list_(pa.float64()), nullable=False),  # of yes, one a label of the task
    ]
)


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
