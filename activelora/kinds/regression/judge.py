"""How predicted numbers are measured.

Letters: N items, C numbers of the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from activelora.campaign.records import Item
from activelora.evaluation import conformal, regression_evaluation, regression_metrics, temperature
from activelora.evaluation.classification_metrics import FloatArray, IntArray
from activelora.evaluation.conformal import ConformalSettings, Covered, Said
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.kinds.regression.task import Regression

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

    def conformal(self, calibration: Said, holdout: Said, fitted: float, settings: ConformalSettings) -> Covered:
        """Make intervals around the expected value, by its distance from the right number."""
        predicted_N, true_N = self._expected(calibration.log_probs_NC, fitted), self._values_C[calibration.labels_N]
        found = conformal.fit_intervals(predicted_N, true_N, settings.alpha, self._values_C)
        low_N, high_N = found.intervals(self._expected(holdout.log_probs_NC, fitted))
        covered_N = regression_metrics.covered(low_N, high_N, self._values_C[holdout.labels_N])
        return Covered(found, covered_N, high_N - low_N)

    def outcomes(self, log_probs_NC: FloatArray, labels_N: IntArray, fitted: float) -> None:
        """Return nothing: a number is near or far, not right or wrong."""
        return

    def _expected(self, log_probs_NC: FloatArray, fitted: float) -> FloatArray:
        return regression_metrics.expected_values(temperature.scale(log_probs_NC, fitted), self._values_C)
