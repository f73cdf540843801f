"""Metrics of classes and of one label: against scikit-learn, with weights, and where they are hardly defined."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as peer

from activelora.evaluation.bootstrap import Statistic
from activelora.evaluation.evaluation import EvaluationSettings, evaluate, evaluate_scaled
from activelora.evaluation.label_metrics import (
    average_precision_of,
    balanced_accuracy_of,
    f_beta_of,
    mcc_of,
    recall_at_precision_of,
)
from activelora.evaluation.primary import OF_LABEL, Wanted

Predictions = tuple[np.ndarray, np.ndarray]


def rare(seed: int, num: int = 120, *, ties: bool = False) -> Predictions:
    """Three classes, about 5 % of the second; with ties, probabilities of one digit."""
    rng = np.random.default_rng(seed)
    labels_N = rng.choice(3, size=num, p=[0.6, 0.05, 0.35])
    labels_N[0] = 1
    logits_NC = rng.normal(size=(num, 3)) + 1.5 * np.eye(3)[labels_N]
    probs_NC = np.exp(logits_NC)
    probs_NC /= probs_NC.sum(axis=1, keepdims=True)
    if ties:
        probs_NC[:, :2] = (probs_NC[:, :2] * 0.99).round(1)
        probs_NC[:, 0] = np.minimum(probs_NC[:, 0], 1 - probs_NC[:, 1])
        probs_NC[:, 2] = np.maximum(0.0, 1 - probs_NC[:, 0] - probs_NC[:, 1])
    return probs_NC, labels_N.astype(np.int64)


def value(statistic: Statistic, weights_N: np.ndarray) -> float:
    return float(statistic((weights_N / weights_N.sum())[None])[0])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_as_scikit_learn_with_the_weights_of_a_resample(seed: int, ties: bool) -> None:
    probs_NC, labels_N = rare(seed, ties=ties)
    said_N, true_N, scores_N = probs_NC.argmax(axis=1), labels_N == 1, probs_NC[:, 1]
    drawn_N = np.random.default_rng(seed).multinomial(len(labels_N) - 1, np.full(len(labels_N), 1 / len(labels_N)))
    drawn_N[0] += 1
    for weights_N in (np.ones(len(labels_N)), drawn_N.astype(float)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class that is predicted and not true in the resample
            balanced = peer.balanced_accuracy_score(labels_N, said_N, sample_weight=weights_N)
        given = {"sample_weight": weights_N}
        assert value(balanced_accuracy_of(probs_NC, labels_N), weights_N) == pytest.approx(balanced)
        expected = peer.matthews_corrcoef(labels_N, said_N, **given)
        assert value(mcc_of(probs_NC, labels_N), weights_N) == pytest.approx(expected)
        for beta in (0.5, 1.0, 2.0):
            expected = peer.fbeta_score(true_N, said_N == 1, beta=beta, zero_division=0, **given)
            assert value(f_beta_of(probs_NC, labels_N, 1, beta), weights_N) == pytest.approx(expected)
        expected = peer.average_precision_score(true_N, scores_N, **given)
        assert value(average_precision_of(probs_NC, labels_N, 1), weights_N) == pytest.approx(expected)
        precision_G, recall_G, _ = peer.precision_recall_curve(true_N, scores_N, **given)
        for wanted in (0.05, 0.3, 0.5, 0.77, 1.0):
            expected = recall_G[precision_G >= wanted - 1e-9].max()
            found = value(recall_at_precision_of(probs_NC, labels_N, 1, wanted), weights_N)
            assert found == pytest.approx(expected)


def binary(scores: list[float], labels: list[int]) -> Predictions:
    second_N = np.array(scores)
    return np.stack([1 - second_N, second_N], axis=1), np.array(labels, dtype=np.int64)


def test_items_of_one_score_share_a_threshold_whatever_their_order() -> None:
    """Ranks 1 to 4 are one group with 2 of 4 right: precision 1/2 at recall 1, and no better threshold."""
    for labels in ([1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1]):
        probs_NC, labels_N = binary([0.4] * 4, labels)
        ones_N = np.ones(4)
        assert value(average_precision_of(probs_NC, labels_N, 1), ones_N) == 0.5
        assert value(recall_at_precision_of(probs_NC, labels_N, 1, 0.5), ones_N) == 1.0
        assert value(recall_at_precision_of(probs_NC, labels_N, 1, 0.51), ones_N) == 0.0


def test_where_one_class_is_predicted() -> None:
    probs_NC, labels_N = binary([0.1, 0.2, 0.3, 0.45], [0, 0, 0, 1])
    ones_N = np.ones(4)
    assert value(f_beta_of(probs_NC, labels_N, 1, 1.0), ones_N) == 0.0
    assert value(mcc_of(probs_NC, labels_N), ones_N) == 0.0 == peer.matthews_corrcoef(labels_N, probs_NC.argmax(axis=1))
    assert value(balanced_accuracy_of(probs_NC, labels_N), ones_N) == 0.5
    assert value(average_precision_of(probs_NC, labels_N, 1), ones_N) == 1.0, "the order is right all the same"


def test_nine_of_ten_is_a_precision_of_nine_tenths() -> None:
    probs_NC, labels_N = binary([0.9 - 0.01 * rank for rank in range(10)], [1, 0, *[1] * 8])
    for weights_N in (np.ones(10), np.full(10, 0.1), np.full(10, 1 / 3)):
        assert value(recall_at_precision_of(probs_NC, labels_N, 1, 0.9), weights_N) == 1.0


def test_resamples_without_the_label_are_left_out_and_a_holdout_without_it_measures_nothing() -> None:
    probs_NC, labels_N = rare(0)
    weights_BN = np.ones((2, len(labels_N)))
    weights_BN[1, labels_N == 1] = 0.0
    found = average_precision_of(probs_NC, labels_N, 1)(weights_BN / weights_BN.sum(axis=1, keepdims=True))
    assert np.isnan(found).tolist() == [False, True]
    settings = EvaluationSettings(15, 100, 0.95, 1, ("a", "b", "c"), Wanted("average_precision", 1))
    document = evaluate(probs_NC[labels_N != 1], labels_N[labels_N != 1], settings)
    assert {"average_precision", "recall_at_precision"}.isdisjoint(document["metrics"])
    assert document["metrics"]["num_positive"] == 0


def test_an_evaluation_has_what_is_wanted_with_intervals_and_nothing_else_changes() -> None:
    probs_NC, labels_N = rare(3, 400)
    plain = EvaluationSettings(15, 200, 0.95, 1, ("a", "b", "c"))
    wanted = EvaluationSettings(15, 200, 0.95, 1, ("a", "b", "c"), Wanted("mcc", 1, 2.0, 0.5))
    before, after = evaluate(probs_NC, labels_N, plain), evaluate(probs_NC, labels_N, wanted)
    more = {"mcc", *OF_LABEL}
    assert set(after["metrics"]) - set(before["metrics"]) == {*more, "num_positive"}
    assert set(after["intervals"]) - set(before["intervals"]) == more
    assert {name: after["metrics"][name] for name in before["metrics"]} == before["metrics"]
    assert {name: after["intervals"][name] for name in before["intervals"]} == before["intervals"]
    for name in more:
        low, high = after["intervals"][name]
        assert low < after["metrics"][name] < high
    assert after["metrics"]["num_positive"] == (labels_N == 1).sum()
    scaled = evaluate_scaled(probs_NC, labels_N, wanted)["metrics"]
    assert scaled["average_precision"] == after["metrics"]["average_precision"]
