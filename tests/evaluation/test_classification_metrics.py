from __future__ import annotations

import math

import numpy as np
import pytest

from activelora.evaluation import classification_metrics as metrics

HAND_PROBS = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.4, 0.35, 0.25], [0.0, 0.1, 0.9]])
HAND_LABELS = np.array([0, 1, 2, 2])


def test_hand_computed_case() -> None:
    assert metrics.accuracy(HAND_PROBS, HAND_LABELS) == 0.75
    assert metrics.confusion_matrix(HAND_PROBS, HAND_LABELS).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert metrics.macro_f1(HAND_PROBS, HAND_LABELS) == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)
    expected = -(math.log(0.7) + math.log(0.5) + math.log(0.25) + math.log(0.9)) / 4
    assert metrics.nll(HAND_PROBS, HAND_LABELS) == pytest.approx(expected)
    brier = [0.09 + 0.04 + 0.01, 0.04 + 0.25 + 0.09, 0.16 + 0.1225 + 0.5625, 0.0 + 0.01 + 0.01]
    assert metrics.brier(HAND_PROBS, HAND_LABELS) == pytest.approx(sum(brier) / 4)


def test_agrees_with_scikit_learn(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    probs_NC, labels_N = predictions
    predicted_N = metrics.predicted_labels(probs_NC)
    classes = list(range(probs_NC.shape[1]))
    assert metrics.accuracy(probs_NC, labels_N) == pytest.approx(sklearn.accuracy_score(labels_N, predicted_N))
    assert metrics.nll(probs_NC, labels_N) == pytest.approx(sklearn.log_loss(labels_N, probs_NC, labels=classes))
    assert metrics.macro_f1(probs_NC, labels_N) == pytest.approx(
        sklearn.f1_score(labels_N, predicted_N, average="macro")
    )
    assert metrics.brier(probs_NC, labels_N) == pytest.approx(
        sum(sklearn.brier_score_loss(labels_N == c, probs_NC[:, c]) for c in classes)
    )
    confusion = metrics.confusion_matrix(probs_NC, labels_N)
    np.testing.assert_array_equal(confusion, sklearn.confusion_matrix(labels_N, predicted_N, labels=classes))
    recall = sklearn.recall_score(labels_N, predicted_N, average=None, labels=[0, 1, 2, 3])
    np.testing.assert_allclose(metrics.class_accuracy(confusion)[:4], recall)
    precision = sklearn.precision_score(labels_N, predicted_N, average=None, labels=classes)
    np.testing.assert_allclose(metrics.class_precision(confusion), precision)
    assert math.isnan(metrics.class_accuracy(confusion)[4])


def test_brier_is_reliability_minus_resolution_plus_uncertainty(
    predictions: tuple[np.ndarray, np.ndarray],
) -> None:
    probs_NC, labels_N = predictions
    for num_bins in (1, 4, 15):
        parts = metrics.brier_decomposition(probs_NC, labels_N, num_bins)
        total = parts.reliability - parts.resolution + parts.uncertainty
        assert total == pytest.approx(metrics.brier(probs_NC, labels_N), abs=1e-12)
        assert parts.reliability >= 0
    shares = np.bincount(labels_N, minlength=5) / len(labels_N)
    assert parts.uncertainty == pytest.approx(float((shares * (1 - shares)).sum()))


def test_stating_the_class_frequencies_has_neither_resolution_nor_unreliability() -> None:
    labels_N = np.array([0, 0, 1, 2])
    probs_NC = np.tile([0.5, 0.25, 0.25], (4, 1))
    parts = metrics.brier_decomposition(probs_NC, labels_N, 15)
    assert (parts.reliability, parts.resolution) == (pytest.approx(0), pytest.approx(0))
    assert parts.uncertainty == pytest.approx(metrics.brier(probs_NC, labels_N))


def test_risk_coverage_against_a_loop(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    probs_NC, labels_N = predictions
    confident_first = sorted(range(len(labels_N)), key=lambda i: -probs_NC[i].max())
    wrong, risks = 0, []
    for answered, i in enumerate(confident_first, 1):
        wrong += int(probs_NC[i].argmax() != labels_N[i])
        risks.append(wrong / answered)
    curve = metrics.risk_coverage(probs_NC, labels_N)
    np.testing.assert_allclose(curve.risk_N, risks)
    assert curve.area == pytest.approx(sum(risks) / len(risks))
    assert curve.risk_N[-1] == pytest.approx(1 - metrics.accuracy(probs_NC, labels_N))


def test_risk_coverage_of_ties_is_the_mean_over_their_orders() -> None:
    probs_NC = np.array([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    labels_N = np.array([0, 0, 1])
    np.testing.assert_allclose(metrics.risk_coverage(probs_NC, labels_N).risk_N, [0, 0.25, 1 / 3])


@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.macro_f1, metrics.nll, metrics.brier])
def test_order_of_items_does_not_matter(metric, predictions: tuple[np.ndarray, np.ndarray]) -> None:
    probs_NC, labels_N = predictions
    order = np.random.default_rng(1).permutation(len(labels_N))
    assert metric(probs_NC[order], labels_N[order]) == pytest.approx(metric(probs_NC, labels_N), abs=1e-14)


def test_names_of_classes_do_not_matter(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    probs_NC, labels_N = predictions
    renamed = np.array([3, 1, 4, 0, 2])
    moved_NC = np.empty_like(probs_NC)
    moved_NC[:, renamed] = probs_NC
    for metric in (metrics.accuracy, metrics.macro_f1, metrics.nll, metrics.brier):
        assert metric(moved_NC, renamed[labels_N]) == pytest.approx(metric(probs_NC, labels_N))


def test_impossible_true_label_is_floored_as_in_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    probs_NC, labels_N = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([1, 0])
    value = metrics.nll(probs_NC, labels_N)
    assert math.isfinite(value)
    assert value == pytest.approx(sklearn.log_loss(labels_N, probs_NC))


def test_one_sure_and_right_item() -> None:
    probs_NC, labels_N = np.array([[0.0, 1.0]]), np.array([1])
    assert metrics.accuracy(probs_NC, labels_N) == 1.0
    assert math.copysign(1.0, metrics.nll(probs_NC, labels_N)) == 1.0
    assert metrics.nll(probs_NC, labels_N) == 0.0
    assert metrics.macro_f1(probs_NC, labels_N) == 1.0
    assert metrics.risk_coverage(probs_NC, labels_N).area == 0.0


def test_one_class() -> None:
    probs_NC, labels_N = np.ones((3, 1)), np.zeros(3, dtype=np.int64)
    assert metrics.confusion_matrix(probs_NC, labels_N).tolist() == [[3]]
    assert metrics.brier(probs_NC, labels_N) == 0.0


@pytest.mark.parametrize(
    ("probs", "labels", "message"),
    [
        ([[0.5, np.nan]], [0], "probs_NC has NaN or infinity in row 0"),
        ([[0.5, 0.5], [1.5, -0.5]], [0, 0], r"outside \[0, 1\] in row 1"),
        ([[0.5, 0.4]], [0], "does not sum to one in row 0"),
        ([[0.5, 0.5]], [2], "labels_N has 2 in row 0; there are 2 classes"),
        ([[0.5, 0.5]], [-1], "labels_N has -1 in row 0"),
        ([[0.5, 0.5]], [0, 1], "must be"),
        (np.empty((0, 2)), np.empty(0), "N >= 1"),
    ],
)
def test_what_is_no_prediction_is_refused_by_name(probs, labels, message) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.accuracy(np.asarray(probs), np.asarray(labels, dtype=np.int64))
