"""All that is measured of predicted numbers on a holdout, as one document.

Letters: N items, C grid values.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from activelora.evaluation import bootstrap
from activelora.evaluation import regression_metrics as metrics
from activelora.evaluation.classification_metrics import FloatArray, IntArray, check_predictions, item_nll
from activelora.evaluation.evaluation import EvaluationSettings, intervals

MAX_POINTS = 500
COVERAGE_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def evaluate(
    probs_NC: FloatArray, labels_N: IntArray, values_C: FloatArray, settings: EvaluationSettings
) -> dict[str, Any]:
    """Return the evaluation as a JSON document without NaN.

    Keys as in :func:`activelora.evaluation.evaluation.evaluate`, those of confidence and classes None; instead
    ``scatter`` (at most 500 items: true, predicted, low, high) and ``coverage`` (stated level, share covered).
    Metrics: RMSE, MAE, Spearman (left out where it is not defined), NLL in nats, and of the predictive distribution's
    central interval at ``settings.level`` the share of true numbers in it and its mean width.

    Args:
        probs_NC: Predictive distributions over the grid.
        labels_N: True labels, as indices into the grid.
        values_C: The grid's numbers, ascending.
        settings: How to measure.
    """
    check_predictions(probs_NC, labels_N)
    statistics = _statistics(probs_NC, labels_N, values_C, settings.level)
    equal_1N = np.full((1, len(labels_N)), 1.0 / len(labels_N))
    values = {name: float(statistic(equal_1N)[0]) for name, statistic in statistics.items()}
    defined = {name: value for name, value in values.items() if not math.isnan(value)}
    return {
        "num_items": len(labels_N),
        "label_names": None,
        "confidence_level": settings.level,
        "metrics": defined,
        "intervals": intervals({name: statistics[name] for name in defined}, len(labels_N), settings),
        "scatter": _scatter(probs_NC, values_C[labels_N], values_C, settings),
        "coverage": [_coverage(probs_NC, values_C[labels_N], values_C, level) for level in COVERAGE_LEVELS],
        **dict.fromkeys(("reliability", "risk_coverage", "confusion", "per_class", "brier_decomposition")),
    }


def evaluate_scaled(
    probs_NC: FloatArray, labels_N: IntArray, values_C: FloatArray, settings: EvaluationSettings
) -> dict[str, Any]:
    """Return the metrics after temperature scaling, which moves the prediction too."""
    document = evaluate(probs_NC, labels_N, values_C, settings)
    return {"metrics": document["metrics"], "reliability": None}


def _statistics(
    probs_NC: FloatArray, labels_N: IntArray, values_C: FloatArray, level: float
) -> dict[str, bootstrap.Statistic]:
    true_N = values_C[labels_N]
    predicted_N = metrics.expected_values(probs_NC, values_C)
    low_N, high_N = metrics.central_interval(probs_NC, values_C, level)
    return {
        "rmse": metrics.rmse_of(predicted_N - true_N),
        "mae": bootstrap.mean_of(np.abs(predicted_N - true_N)),
        "spearman": metrics.spearman_of(predicted_N, true_N),
        "nll": bootstrap.mean_of(item_nll(probs_NC, labels_N)),
        "interval_coverage": bootstrap.mean_of(metrics.covered(low_N, high_N, true_N)),
        "interval_width": bootstrap.mean_of(high_N - low_N),
    }


def _scatter(
    probs_NC: FloatArray, true_N: FloatArray, values_C: FloatArray, settings: EvaluationSettings
) -> dict[str, list[float]]:
    num = len(true_N)
    shown = np.sort(np.random.default_rng(settings.seed).permutation(num)[:MAX_POINTS])
    low_N, high_N = metrics.central_interval(probs_NC, values_C, settings.level)
    columns = {"true": true_N, "predicted": metrics.expected_values(probs_NC, values_C), "low": low_N, "high": high_N}
    return {name: column[shown].tolist() for name, column in columns.items()}


def _coverage(probs_NC: FloatArray, true_N: FloatArray, values_C: FloatArray, level: float) -> dict[str, float]:
    low_N, high_N = metrics.central_interval(probs_NC, values_C, level)
    return {"level": level, "covered": float(metrics.covered(low_N, high_N, true_N).mean())}
