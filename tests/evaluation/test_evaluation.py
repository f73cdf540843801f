from __future__ import annotations

import json

import numpy as np

from activelora.evaluation import evaluation
from activelora.evaluation.calibration import ece
from activelora.evaluation.classification_metrics import accuracy

NAMES = ("a", "b", "c", "d", "e")


def settings(label_names: tuple[str, ...]) -> evaluation.EvaluationSettings:
    return evaluation.EvaluationSettings(num_bins=15, num_resamples=200, level=0.95, seed=3, label_names=label_names)


def test_document_is_plain_json_and_agrees_with_the_metrics(
    predictions: tuple[np.ndarray, np.ndarray],
) -> None:
    probs_NC, labels_N = predictions
    document = evaluation.evaluate(probs_NC, labels_N, settings(NAMES))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["metrics"]["accuracy"] == accuracy(probs_NC, labels_N)
    assert document["metrics"]["ece"] == ece(probs_NC, labels_N)
    assert sum(bin_["count"] for bin_ in document["reliability"]) == len(labels_N)
    assert [row["label"] for row in document["per_class"]] == list(NAMES)
    assert document["per_class"][4]["accuracy"] is None
    flat = evaluation.flat_metrics(document)
    assert flat["accuracy_low"] < flat["accuracy"] < flat["accuracy_high"]
    assert len(document["risk_coverage"]["risk"]) == evaluation.MAX_CURVE_POINTS
    assert document["risk_coverage"]["coverage"][-1] == 1.0


def test_metrics_of_classes_are_left_out_where_items_have_their_own_choices() -> None:
    probs_NC = np.array([[0.6, 0.4, 0.0], [0.2, 0.3, 0.5]])
    document = evaluation.evaluate(probs_NC, np.array([0, 1]), settings(()))
    assert document["confusion"] is document["per_class"] is document["brier_decomposition"] is None
    assert {"macro_f1", "classwise_ece"}.isdisjoint(evaluation.flat_metrics(document))
    assert {"accuracy", "ece", "nll", "brier", "aurc"} <= set(document["metrics"])


def test_one_item() -> None:
    document = evaluation.evaluate(np.array([[1.0, 0.0]]), np.array([1]), settings(("x", "y")))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["metrics"]["accuracy"] == 0.0
    assert document["metrics"]["ece"] == 1.0
