"""All that is measured of written answers on a holdout, as one document.

Letters: N items.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from activelora.evaluation import bootstrap, calibration, evaluation
from activelora.evaluation import classification_metrics as metrics
from activelora.evaluation.classification_metrics import FloatArray
from activelora.evaluation.evaluation import EvaluationSettings


def evaluate(
    correct_N: FloatArray, confidence_N: FloatArray, gold_nll_N: FloatArray, settings: EvaluationSettings
) -> dict[str, Any]:
    """Return the evaluation as a JSON document without NaN.

    Keys as in :func:`activelora.evaluation.evaluation.evaluate`, those of classes None. ``accuracy`` is the share of
    exact matches, ``brier`` the mean of (confidence − correct)², ``nll`` that of the gold answer, in nats a token.

    Args:
        correct_N: 1.0 where the final answer is the gold one, else 0.0.
        confidence_N: Stated probability of that, in [0, 1].
        gold_nll_N: Mean NLL of the gold answer's tokens.
        settings: How to measure.

    Raises:
        ValueError: A number is NaN, or no confidence.
    """
    for name, values_N in {"confidence_N": confidence_N, "gold_nll_N": gold_nll_N}.items():
        if not np.isfinite(values_N).all():
            raise ValueError(f"{name} has NaN or infinity in row {int((~np.isfinite(values_N)).argmax())}")
    if ((confidence_N < 0) | (confidence_N > 1 + 1e-9)).any():
        raise ValueError("confidence_N has a value outside [0, 1]")
    confidence_N = np.minimum(confidence_N, 1.0)
    bins = calibration.confidence_bins(confidence_N, correct_N, settings.num_bins)
    curve = metrics.confidence_risk(confidence_N, correct_N)
    statistics = {
        "accuracy": bootstrap.mean_of(correct_N),
        "ece": bootstrap.confidence_ece_of(confidence_N, correct_N, settings.num_bins),
        "nll": bootstrap.mean_of(gold_nll_N),
        "brier": bootstrap.mean_of((confidence_N - correct_N) ** 2),
    }
    return {
        "num_items": len(correct_N),
        "label_names": None,
        "confidence_level": settings.level,
        "metrics": {
            "accuracy": float(correct_N.mean()),
            "ece": bins.ece,
            "aece": calibration.adaptive_confidence_ece(confidence_N, correct_N, settings.num_bins),
            "nll": float(gold_nll_N.mean()),
            "brier": float(((confidence_N - correct_N) ** 2).mean()),
            "aurc": curve.area,
        },
        "intervals": evaluation.intervals(statistics, len(correct_N), settings),
        "reliability": evaluation.bin_rows(bins),
        "risk_coverage": evaluation.thinned(curve),
        **dict.fromkeys(("confusion", "per_class", "brier_decomposition")),
    }
