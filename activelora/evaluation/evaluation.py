"""All that is measured on a holdout, as one document: numbers, intervals, and what the plots show.

Letters: N items, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from activelora.evaluation import bootstrap, calibration, primary
from activelora.evaluation import classification_metrics as metrics
from activelora.evaluation.classification_metrics import FloatArray, IntArray
from activelora.evaluation.primary import NOTHING_ELSE, Wanted

MAX_CURVE_POINTS = 200
GROWS_WITH_NOISE = frozenset({"ece"})
"""Metrics that come out higher the fewer items there are: resamples, which are noisier, need a correction."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How to measure.

    Attributes:
        num_bins: Bins of ECE and reliability diagram.
        num_resamples: Bootstrap resamples.
        level: Confidence level of the intervals, in (0, 1).
        seed: Seed of the resamples.
        label_names: Names of the classes; empty where every item has its own choices. Metrics that speak of classes are
            then left out.
        wanted: What is measured beside the usual; needs names of classes.
    """

    num_bins: int
    num_resamples: int
    level: float
    seed: int
    label_names: tuple[str, ...] = ()
    wanted: Wanted = NOTHING_ELSE


def evaluate(probs_NC: FloatArray, labels_N: IntArray, settings: EvaluationSettings) -> dict[str, Any]:
    """Return the evaluation as a JSON document without NaN.

    Keys: ``metrics`` (name → number), ``intervals`` (name → [low, high]), ``reliability`` (bins),
    ``risk_coverage``, and for tasks with fixed classes ``confusion``, ``per_class`` and ``brier_decomposition``
    (else None).

    Args:
        probs_NC: Predictive distributions, padded with zeros where an item has fewer answers.
        labels_N: True labels.
        settings: How to measure.
    """
    curve = metrics.risk_coverage(probs_NC, labels_N)
    values = {
        "accuracy": metrics.accuracy(probs_NC, labels_N),
        **_probability_metrics(probs_NC, labels_N, settings),
        "aurc": curve.area,
    }
    document: dict[str, Any] = {
        "num_items": len(labels_N),
        "label_names": list(settings.label_names) or None,
        "confidence_level": settings.level,
        "metrics": values,
        "intervals": _intervals(probs_NC, labels_N, settings),
        "reliability": reliability(probs_NC, labels_N, settings.num_bins),
        "risk_coverage": thinned(curve),
        "confusion": None,
        "per_class": None,
        "brier_decomposition": None,
    }
    if settings.label_names:
        values["macro_f1"] = metrics.macro_f1(probs_NC, labels_N)
        document |= _class_parts(probs_NC, labels_N, settings)
        _add_wanted(document, probs_NC, labels_N, settings)
    return document


def evaluate_scaled(probs_NC: FloatArray, labels_N: IntArray, settings: EvaluationSettings) -> dict[str, Any]:
    """Return what temperature scaling can change: probabilities, not labels, so neither accuracy nor F1."""
    values = _probability_metrics(probs_NC, labels_N, settings)
    values["aurc"] = metrics.risk_coverage(probs_NC, labels_N).area
    if settings.label_names and settings.wanted.positive is not None:  # how items rank for one of several labels
        values |= points(primary.ranked_of(probs_NC, labels_N, settings.wanted), len(labels_N))
    return {"metrics": values, "reliability": reliability(probs_NC, labels_N, settings.num_bins)}


def reliability(probs_NC: FloatArray, labels_N: IntArray, num_bins: int) -> list[dict[str, float | int | None]]:
    """Return the reliability diagram's bins; confidence and accuracy are None in an empty bin."""
    return bin_rows(calibration.reliability_bins(probs_NC, labels_N, num_bins))


def bin_rows(bins: calibration.ReliabilityBins) -> list[dict[str, float | int | None]]:
    """Return bins as JSON."""
    return [
        {
            "low": float(bins.edges[index]),
            "high": float(bins.edges[index + 1]),
            "count": int(bins.count_M[index]),
            "confidence": _number(bins.confidence_M[index]),
            "accuracy": _number(bins.accuracy_M[index]),
        }
        for index in range(len(bins.count_M))
    ]


def flat_metrics(document: dict[str, Any]) -> dict[str, float]:
    """Return an evaluation's numbers under the names that manifests and MLflow use: ``ece``, ``ece_low``, ..."""
    flat = dict(document["metrics"])
    for name, (low, high) in document["intervals"].items():
        flat |= {f"{name}_low": low, f"{name}_high": high}
    return flat


def intervals(
    statistics: Mapping[str, bootstrap.Statistic], num_items: int, settings: EvaluationSettings
) -> dict[str, list[float]]:
    """Return the bootstrap interval [low, high] of every statistic; all are resampled alike."""
    return {
        name: list(
            (bootstrap.centred_interval if name in GROWS_WITH_NOISE else bootstrap.percentile_interval)(
                statistic,
                num_items,
                num_resamples=settings.num_resamples,
                level=settings.level,
                seed=settings.seed,
            )
        )
        for name, statistic in statistics.items()
    }


def points(statistics: Mapping[str, bootstrap.Statistic], num_items: int) -> dict[str, float]:
    """Return every statistic of the items themselves; without those that are not defined for them."""
    equal_1N = np.full((1, num_items), 1.0 / num_items)
    values = {name: float(statistic(equal_1N)[0]) for name, statistic in statistics.items()}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _add_wanted(
    document: dict[str, Any], probs_NC: FloatArray, labels_N: IntArray, settings: EvaluationSettings
) -> None:
    statistics, num = primary.statistics_of(probs_NC, labels_N, settings.wanted), len(labels_N)
    found = points(statistics, num)
    document["metrics"] |= found
    document["intervals"] |= intervals({name: statistics[name] for name in found}, num, settings)
    if settings.wanted.positive is not None:
        document["metrics"]["num_positive"] = float((labels_N == settings.wanted.positive).sum())


def _probability_metrics(probs_NC: FloatArray, labels_N: IntArray, settings: EvaluationSettings) -> dict[str, float]:
    values = {
        "ece": calibration.ece(probs_NC, labels_N, settings.num_bins),
        "aece": calibration.adaptive_ece(probs_NC, labels_N, settings.num_bins),
        "nll": metrics.nll(probs_NC, labels_N),
        "brier": metrics.brier(probs_NC, labels_N),
    }
    if settings.label_names:
        values["classwise_ece"] = calibration.classwise_ece(probs_NC, labels_N, settings.num_bins)
    return values


def _intervals(probs_NC: FloatArray, labels_N: IntArray, settings: EvaluationSettings) -> dict[str, list[float]]:
    statistics = {
        "accuracy": bootstrap.mean_of(metrics.correct_predictions(probs_NC, labels_N)),
        "ece": bootstrap.ece_of(probs_NC, labels_N, settings.num_bins),
        "nll": bootstrap.mean_of(metrics.item_nll(probs_NC, labels_N)),
        "brier": bootstrap.mean_of(metrics.item_brier(probs_NC, labels_N)),
    }
    if settings.label_names:
        statistics["macro_f1"] = bootstrap.macro_f1_of(probs_NC, labels_N)
    return intervals(statistics, len(labels_N), settings)


def _class_parts(probs_NC: FloatArray, labels_N: IntArray, settings: EvaluationSettings) -> dict[str, Any]:
    confusion_CC = metrics.confusion_matrix(probs_NC, labels_N)
    recall_C, precision_C = metrics.class_accuracy(confusion_CC), metrics.class_precision(confusion_CC)
    f1_C = metrics.class_f1(confusion_CC)
    parts = metrics.brier_decomposition(probs_NC, labels_N, settings.num_bins)
    return {
        "confusion": confusion_CC.tolist(),
        "per_class": [
            {
                "label": name,
                "count": int(confusion_CC[index].sum()),
                "predicted": int(confusion_CC[:, index].sum()),
                "accuracy": _number(recall_C[index]),
                "precision": _number(precision_C[index]),
                "f1": _number(f1_C[index]),
            }
            for index, name in enumerate(settings.label_names)
        ],
        "brier_decomposition": {
            "reliability": parts.reliability,
            "resolution": parts.resolution,
            "uncertainty": parts.uncertainty,
        },
    }


def thinned(curve: metrics.RiskCoverage) -> dict[str, list[float]]:
    """Return the curve as JSON, at most 200 of its points."""
    num = len(curve.coverage_N)
    shown = np.unique(np.linspace(0, num - 1, min(num, MAX_CURVE_POINTS)).round().astype(np.int64))
    return {"coverage": curve.coverage_N[shown].tolist(), "risk": curve.risk_N[shown].tolist()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
