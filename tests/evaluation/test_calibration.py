from __future__ import annotations

import numpy as np
import pytest

from activelora.evaluation import calibration


def slow_ece(confidences: list[float], correct: list[bool], edges: list[float]) -> float:
    total = 0.0
    for index in range(len(edges) - 1):
        last = index == len(edges) - 2
        inside = [i for i, c in enumerate(confidences) if edges[index] <= c and (c < edges[index + 1] or last)]
        if inside:
            accuracy = sum(correct[i] for i in inside) / len(inside)
            confidence = sum(confidences[i] for i in inside) / len(inside)
            total += len(inside) / len(confidences) * abs(accuracy - confidence)
    return total


def test_ece_against_a_loop(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    probs_NC, labels_N = predictions
    confidences = probs_NC.max(axis=1).tolist()
    correct = (probs_NC.argmax(axis=1) == labels_N).tolist()
    for num_bins in (1, 10, 15):
        edges = [float(edge) for edge in np.linspace(0, 1, num_bins + 1)]
        assert calibration.ece(probs_NC, labels_N, num_bins) == pytest.approx(slow_ece(confidences, correct, edges))


def test_classwise_ece_against_a_loop(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    probs_NC, labels_N = predictions
    edges = [float(edge) for edge in np.linspace(0, 1, 16)]
    slow = [slow_ece(probs_NC[:, c].tolist(), (labels_N == c).tolist(), edges) for c in range(5)]
    assert calibration.classwise_ece(probs_NC, labels_N) == pytest.approx(sum(slow) / 5)


def test_adaptive_ece_against_sorted_groups(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    probs_NC, labels_N = predictions
    order = np.argsort(probs_NC.max(axis=1))
    total = 0.0
    for group in np.array_split(order, 15):
        gap = (probs_NC[group].argmax(axis=1) == labels_N[group]).mean() - probs_NC[group].max(axis=1).mean()
        total += abs(gap) * len(group) / len(order)
    assert calibration.adaptive_ece(probs_NC, labels_N) == pytest.approx(total)


def test_hand_computed_case() -> None:
    # Two bins: 0.4 alone (wrong: gap 0.4), and 0.6, 0.8 (one right: |0.5 - 0.7|).
    probs_NC = np.array([[0.4, 0.3, 0.3], [0.6, 0.4, 0.0], [0.8, 0.1, 0.1]])
    assert calibration.ece(probs_NC, np.array([1, 0, 1]), 2) == pytest.approx(0.4 / 3 + 2 / 3 * 0.2)


def test_edges_are_half_open_and_one_is_in_the_last_bin() -> None:
    edges = np.linspace(0, 1, 5)
    assert calibration.bin_numbers(np.array([0.0, 0.25, 0.5, 0.75, 1.0]), edges).tolist() == [0, 1, 2, 3, 3]
    assert calibration.bin_numbers(np.nextafter(edges[1:], 0), edges).tolist() == [0, 1, 2, 3]
    bins = calibration.reliability_bins(np.array([[1.0, 0.0]]), np.array([0]), 15)
    assert bins.count_M.tolist() == [0] * 14 + [1]
    assert bins.ece == 0.0


def test_sure_and_wrong_is_the_worst() -> None:
    probs_NC = np.array([[1.0, 0.0], [1.0, 0.0]])
    labels_N = np.array([1, 1])
    assert calibration.ece(probs_NC, labels_N) == 1.0
    assert calibration.adaptive_ece(probs_NC, labels_N) == 1.0
    assert calibration.classwise_ece(probs_NC, labels_N) == 1.0


def test_labels_drawn_from_the_probabilities_are_calibrated() -> None:
    rng = np.random.default_rng(3)
    probs_NC = rng.dirichlet([0.5] * 4, size=60_000)
    labels_N = (rng.random(60_000)[:, None] > probs_NC.cumsum(axis=1)).sum(axis=1).clip(max=3)
    for metric in (calibration.ece, calibration.adaptive_ece, calibration.classwise_ece):
        assert metric(probs_NC, labels_N) < 0.01


@pytest.mark.parametrize("metric", [calibration.ece, calibration.adaptive_ece, calibration.classwise_ece])
def test_order_of_items_does_not_matter_even_with_ties(metric) -> None:
    rng = np.random.default_rng(5)
    probs_NC = rng.choice([0.1, 0.3, 0.5], size=200)[:, None] * np.array([[-1.0, 1.0]]) + np.array([[1.0, 0]])
    labels_N = rng.integers(0, 2, size=200)
    order = rng.permutation(200)
    assert metric(probs_NC[order], labels_N[order]) == pytest.approx(metric(probs_NC, labels_N), abs=1e-14)


@pytest.mark.parametrize("metric", [calibration.ece, calibration.adaptive_ece, calibration.classwise_ece])
def test_nan_is_refused_by_name(metric) -> None:
    with pytest.raises(ValueError, match="probs_NC has NaN"):
        metric(np.array([[np.nan, 1.0]]), np.array([0]))


def test_one_item_one_class() -> None:
    probs_NC, labels_N = np.ones((1, 1)), np.zeros(1, dtype=np.int64)
    assert calibration.ece(probs_NC, labels_N) == 0.0
    assert calibration.adaptive_ece(probs_NC, labels_N) == 0.0
    assert calibration.classwise_ece(probs_NC, labels_N) == 0.0


def test_padding_does_not_change_ece(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    probs_NC, labels_N = predictions
    padded_NC = np.hstack([probs_NC, np.zeros((len(probs_NC), 3))])
    assert calibration.ece(padded_NC, labels_N) == calibration.ece(probs_NC, labels_N)
