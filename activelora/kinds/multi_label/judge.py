"""How predicted label sets are measured.

Letters: N items, C labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from activelora.campaign.records import Item
from activelora.evaluation import conformal, multi_label_evaluation, temperature
from activelora.evaluation.abstention import Outcomes
from activelora.evaluation.classification_metrics import FloatArray, IntArray
from activelora.evaluation.conformal import ConformalSettings, Covered, Said
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

    def conformal(self, calibration: Said, holdout: Said, fitted: float, settings: ConformalSettings) -> Covered:
        """Make sets that hold all labels of an item, by the least probable of them: one threshold, and no draw."""
        has_NC = multi_label_evaluation.bits(calibration.labels_N, len(self._names))
        found = conformal.fit_label_sets(_yes(calibration.log_probs_NC, fitted), has_NC, settings.alpha)
        sets_NC = found.sets(_yes(holdout.log_probs_NC, fitted))
        has_not_NC = multi_label_evaluation.bits(holdout.labels_N, len(self._names)) == 0
        covered_N = (sets_NC | has_not_NC).all(axis=1)
        return Covered(found, covered_N.astype(np.float64), sets_NC.sum(axis=1).astype(np.float64))

    def outcomes(self, log_probs_NC: FloatArray, labels_N: IntArray, fitted: float) -> Outcomes:
        """Return the probability of all decisions about an item at once, and whether all of them are right."""
        yes_NC, true_NC = _yes(log_probs_NC, fitted), multi_label_evaluation.bits(labels_N, len(self._names))
        is_right_N = ((yes_NC > 0.5) == (true_NC > 0)).all(axis=1)
        return Outcomes(np.maximum(yes_NC, 1.0 - yes_NC).prod(axis=1), is_right_N.astype(np.float64))

    def _named(self, has_C: Iterable[object]) -> list[str]:
        return [name for name, has in zip(self._names, has_C, strict=True) if has]


def _yes(log_probs_NC2: FloatArray, fitted: float) -> FloatArray:
    probs_M2 = temperature.scale(log_probs_NC2.reshape(-1, 2), fitted)
    return np.asarray(probs_M2[:, 1].reshape(log_probs_NC2.shape[:2]), dtype=np.float64)
