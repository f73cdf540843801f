"""All that is measured of predicted label sets on a holdout, as one document.

Letters: N items, C labels, M = N·C decisions, B resamples. A decision is yes or no about one item and label.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from activelora.evaluation import bootstrap, evaluation
from activelora.evaluation import classification_metrics as metrics
from activelora.evaluation.classification_metrics import FloatArray, IntArray
from activelora.evaluation.evaluation import EvaluationSettings


def bits(masks_N: IntArray, num_labels: int) -> IntArray:
    """Return labels_NC, 1 where the item has the label, from bit masks."""
    return np.asarray(masks_N[:, None] >> np.arange(num_labels) & 1, dtype=np.int64)


def evaluate(yes_NC: FloatArray, masks_N: IntArray, settings: EvaluationSettings) -> dict[str, Any]:
    """Return the evaluation as a JSON document without NaN.

    Keys as in :func:`activelora.evaluation.evaluation.evaluate`. ``accuracy`` is subset accuracy: the share of items
    all of whose labels are right. ECE, NLL, Brier and AURC are over the M decisions, Hamming loss is their error rate.
    F1 per label is averaged over the labels that occur as truth or as prediction (macro), or computed from the sums of
    all decisions (micro). The bootstrap draws items, never single decisions: those of one item depend on each other.

    Args:
        yes_NC: Probability that the item has the label.
        masks_N: True label sets.
        settings: How to measure.
    """
    true_NC = bits(masks_N, yes_NC.shape[1])
    said_NC = (yes_NC > 0.5).astype(np.int64)
    flat_M2, flat_M = decisions(yes_NC), true_NC.ravel()
    document = evaluation.evaluate(flat_M2, flat_M, replace(settings, label_names=()))
    statistics = _statistics(yes_NC, true_NC, said_NC, settings.num_bins)
    equal_1N = np.full((1, len(masks_N)), 1.0 / len(masks_N))
    values = {name: float(statistic(equal_1N)[0]) for name, statistic in statistics.items()}
    defined = {name: value for name, value in values.items() if not np.isnan(value)}
    return document | {
        "num_items": len(masks_N),
        "label_names": list(settings.label_names),
        "metrics": document["metrics"] | defined,
        "intervals": evaluation.intervals({name: statistics[name] for name in defined}, len(masks_N), settings),
        "per_class": _per_class(true_NC, said_NC, settings.label_names),
    }


def evaluate_scaled(yes_NC: FloatArray, masks_N: IntArray, settings: EvaluationSettings) -> dict[str, Any]:
    """Return what temperature scaling can change: probabilities, not labels."""
    flat_M = bits(masks_N, yes_NC.shape[1]).ravel()
    return evaluation.evaluate_scaled(decisions(yes_NC), flat_M, replace(settings, label_names=()))


def decisions(yes_NC: FloatArray) -> FloatArray:
    """Return the decisions as distributions over no and yes, shape (M, 2)."""
    return np.stack([1.0 - yes_NC.ravel(), yes_NC.ravel()], axis=1)


def _statistics(
    yes_NC: FloatArray, true_NC: IntArray, said_NC: IntArray, num_bins: int
) -> dict[str, bootstrap.Statistic]:
    num_labels = yes_NC.shape[1]
    flat_M2, flat_M = decisions(yes_NC), true_NC.ravel()
    ece = bootstrap.ece_of(flat_M2, flat_M, num_bins)
    hits_NC = (true_NC & said_NC).astype(np.float64)
    sizes_NC = (true_NC + said_NC).astype(np.float64)

    def mean_of_items(values_M: FloatArray) -> bootstrap.Statistic:
        return bootstrap.mean_of(values_M.reshape(-1, num_labels).mean(axis=1))

    def macro_f1(weights_BN: FloatArray) -> FloatArray:
        f1_BC = _ratio(2 * weights_BN @ hits_NC, weights_BN @ sizes_NC)
        occurs_BC = ~np.isnan(f1_BC)
        return _ratio(np.nansum(f1_BC, axis=1), occurs_BC.sum(axis=1))

    return {
        "accuracy": bootstrap.mean_of((true_NC == said_NC).all(axis=1).astype(np.float64)),
        "hamming_loss": mean_of_items((true_NC != said_NC).astype(np.float64).ravel()),
        "micro_f1": lambda weights_BN: _ratio(2 * weights_BN @ hits_NC.sum(axis=1), weights_BN @ sizes_NC.sum(axis=1)),
        "macro_f1": macro_f1,
        "ece": lambda weights_BN: ece(np.repeat(weights_BN, num_labels, axis=1) / num_labels),
        "nll": mean_of_items(metrics.item_nll(flat_M2, flat_M)),
        "brier": mean_of_items(metrics.item_brier(flat_M2, flat_M)),
    }


def _per_class(true_NC: IntArray, said_NC: IntArray, names: tuple[str, ...]) -> list[dict[str, Any]]:
    hits_C, true_C, said_C = (true_NC & said_NC).sum(axis=0), true_NC.sum(axis=0), said_NC.sum(axis=0)
    columns = (_ratio(hits_C, true_C), _ratio(hits_C, said_C), _ratio(2 * hits_C, true_C + said_C))
    return [
        {"label": name, "count": int(true_C[index]), "predicted": int(said_C[index])}
        | {
            key: None if np.isnan(column[index]) else float(column[index])
            for key, column in zip(("accuracy", "precision", "f1"), columns, strict=True)
        }
        for index, name in enumerate(names)
    ]


def _ratio(part: FloatArray | IntArray, whole: FloatArray | IntArray) -> FloatArray:
    out = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return out
