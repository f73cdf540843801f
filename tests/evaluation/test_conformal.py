"""Prediction sets against slow loops, and their coverage on real predictions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from scipy.stats import betabinom

from activelora.evaluation import conformal
from activelora.evaluation.classification_metrics import FloatArray, IntArray
from activelora.evaluation.conformal import PredictionIntervals, PredictionSets, TooFewRowsError
from activelora.evaluation.conformal_scores import Method, Rule
from tests.evaluation.real_predictions import trec_predictions

METHODS = get_args(Method)
Predictions = tuple[FloatArray, IntArray]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Predictions:
    return trec_predictions(shared_data)


def slow_score(method: str, probs: list[float], label: int, u: float, penalty: float, free_ranks: int) -> float:
    """Return an answer's score as the papers define it."""
    if method == "lac":
        return 1 - probs[label]
    total, rank = 0.0, 1
    for other, probability in enumerate(probs):
        if probability > probs[label] or (probability == probs[label] and other < label):
            total += probability
            rank += 1
    total += u * probs[label]
    if method == "raps" and rank > free_ranks:
        total += penalty * (rank - free_ranks)
    return total


@pytest.mark.parametrize("method", METHODS)
def test_scores_and_sets_are_those_of_the_slow_definition(method: Method, predictions: Predictions) -> None:
    probs_NC, labels_N = predictions
    probs_NC = np.round(probs_NC, 2)  # ties
    probs_NC[:, 0] += 1 - probs_NC.sum(axis=1)
    probs_NC = np.abs(probs_NC) / np.abs(probs_NC).sum(axis=1, keepdims=True)
    rule = Rule(method, seed=4, penalty=0.1, free_ranks=2)
    u_N = rule.draws([str(index) for index in range(len(labels_N))])
    assert ((u_N >= 0) & (u_N < 1)).all()
    assert len(set(u_N.tolist())) == len(u_N)
    found = conformal.fit_sets(probs_NC[:90], labels_N[:90], 0.15, rule, u_N[:90])
    scores = sorted(
        slow_score(method, probs_NC[index].tolist(), int(labels_N[index]), float(u_N[index]), 0.1, 2)
        for index in range(90)
    )
    threshold = scores[math.ceil(91 * 0.85) - 1]
    assert found.threshold == pytest.approx(threshold, abs=1e-12)
    sets_NC = found.sets(probs_NC[90:], u_N[90:])
    for row, (probs, u) in enumerate(zip(probs_NC[90:].tolist(), u_N[90:].tolist(), strict=True)):
        for label in range(5):
            score = slow_score(method, probs, label, u, 0.1, 2)
            if abs(score - threshold) > 1e-9:
                assert sets_NC[row, label] == (score <= threshold)
    assert (found.sets(probs_NC[90:]) >= sets_NC).all(), "without draws, sets are the larger ones"


@pytest.mark.parametrize(
    ("alpha", "num", "rank"), [(0.1, 9, 9), (0.1, 10, 10), (0.1, 29, 27), (0.05, 19, 19), (0.5, 1, 1)]
)
def test_the_threshold_is_the_finite_sample_quantile(alpha: float, num: int, rank: int) -> None:
    scores_N = np.random.default_rng(num).permutation(num) + 1.0
    assert conformal.quantile(scores_N, alpha) == rank == math.ceil(round((num + 1) * (1 - alpha), 9))
    with pytest.raises(TooFewRowsError, match=f"at least {conformal.fewest(alpha)} .* and there are"):
        conformal.quantile(scores_N[: conformal.fewest(alpha) - 1], alpha)


@pytest.mark.parametrize("alpha", [0.3, 0.2, 0.1, 0.05, 0.01, 0.001])
def test_one_row_fewer_than_allowed_has_no_threshold(alpha: float) -> None:
    fewest = conformal.fewest(alpha)
    assert fewest >= 1 / alpha - 1 - 1e-9 > fewest - 1 - 1e-9
    assert math.ceil(round((fewest + 1) * (1 - alpha), 9)) <= fewest
    assert math.ceil(round(fewest * (1 - alpha), 9)) > fewest - 1


@pytest.mark.parametrize("method", METHODS)
def test_coverage_over_200_splits_of_real_predictions(method: Method, real: Predictions) -> None:
    """Mean and spread are those of the beta-binomial, which is exact for splits of one set without equal scores."""
    probs_NC, labels_N = real
    num, alpha, rng = 100, 0.1, np.random.default_rng(1)
    rule, coverages = Rule(method), []
    for _ in range(200):
        order = rng.permutation(len(labels_N))
        u_N = rng.random(len(labels_N))
        chosen, rest = order[:num], order[num:]
        found = conformal.fit_sets(probs_NC[chosen], labels_N[chosen], alpha, rule, u_N[chosen])
        sets_NC = found.sets(probs_NC[rest], u_N[rest])
        coverages.append(sets_NC[np.arange(len(rest)), labels_N[rest]].mean())
    missed = math.floor((num + 1) * alpha)
    law = betabinom(len(labels_N) - num, num + 1 - missed, missed)
    spread = law.std() / (len(labels_N) - num)
    assert np.mean(coverages) >= 1 - alpha - 0.01
    assert np.mean(coverages) == pytest.approx(law.mean() / (len(labels_N) - num), abs=3 * spread / math.sqrt(200))
    assert np.std(coverages) == pytest.approx(spread, rel=0.17)  # 200 draws know a spread to 5 %


def test_thresholds_for_each_label_cover_each_label_of_real_predictions(real: Predictions) -> None:
    probs_NC, labels_N = real
    keep_N = labels_N != np.bincount(labels_N).argmin()  # one label is too rare for 400 rows to have enough of it
    rng, alpha, covered, plain = np.random.default_rng(2), 0.1, [], []
    names = np.unique(labels_N[keep_N])
    part_NC = probs_NC[np.ix_(keep_N, names)]
    part_NC = part_NC / part_NC.sum(axis=1, keepdims=True)
    part_N = np.searchsorted(names, labels_N[keep_N])
    for _ in range(100):
        order = rng.permutation(len(part_N))
        chosen, rest = order[:400], order[400:]
        marginal = conformal.fit_sets(part_NC[chosen], part_N[chosen], alpha, Rule())
        by_class = marginal.by_class(part_NC[chosen], part_N[chosen])
        for found, shares in ((by_class, covered), (marginal, plain)):
            holds_N = found.sets(part_NC[rest])[np.arange(len(rest)), part_N[rest]]
            shares.append([holds_N[part_N[rest] == label].mean() for label in range(len(names))])
    assert np.min(np.mean(covered, axis=0)) >= 1 - alpha - 0.01
    assert np.min(np.mean(plain, axis=0)) < 1 - alpha - 0.03, "one threshold would do as well: the test shows nothing"


def test_a_label_with_too_few_rows_is_said(predictions: Predictions) -> None:
    probs_NC, labels_N = predictions
    found = conformal.fit_sets(probs_NC, labels_N, 0.1, Rule())
    with pytest.raises(TooFewRowsError, match=r"needs 9 calibration rows of each; 1 of 5 labels have fewer, one has 0"):
        found.by_class(probs_NC, labels_N)


@pytest.mark.parametrize("method", METHODS)
def test_a_document_gives_the_same_sets(method: Method, predictions: Predictions) -> None:
    probs_NC, labels_N = predictions
    labels_N = np.where(np.arange(300) % 10 == 0, 4, labels_N)
    rule = Rule(method, seed=9, penalty=0.3, free_ranks=1)
    marginal = conformal.fit_sets(probs_NC, labels_N, 0.1, rule, rule.draws(["x"] * 300))
    for found in (marginal, marginal.by_class(probs_NC, labels_N, rule.draws(["x"] * 300))):
        read = conformal.from_document(json.loads(json.dumps(found.document())))
        assert read == found
        assert isinstance(read, PredictionSets)
        np.testing.assert_array_equal(read.sets(probs_NC), found.sets(probs_NC))
        assert read.draws(["a"]).tolist() == rule.draws(["a"]).tolist()
    assert conformal.from_document(None) is None


def test_sets_hold_no_answer_that_an_item_does_not_have() -> None:
    probs_NC = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [1e-20, 1.0, 0.0]])
    for has_own_answers, sizes in ((True, [2, 3, 2]), (False, [3, 3, 3])):
        rule = Rule(has_own_answers=has_own_answers)
        found = conformal.fit_sets(np.repeat(probs_NC[2:], 9, axis=0), np.zeros(9, dtype=np.int64), 0.1, rule)
        assert found.sets(probs_NC).sum(axis=1).tolist() == sizes


def test_label_sets_hold_all_labels_as_often_as_is_stated() -> None:
    rng = np.random.default_rng(3)
    yes_NC = rng.beta(0.4, 0.8, size=(3000, 4))
    has_NC = (rng.random(yes_NC.shape) < yes_NC).astype(np.int64)
    found = conformal.fit_label_sets(yes_NC[:50], has_NC[:50], 0.2)
    scores = sorted(max([0.0, *(1 - yes_NC[i, j] for j in range(4) if has_NC[i, j])]) for i in range(50))
    assert found.threshold == scores[math.ceil(51 * 0.8) - 1]
    shares = []
    for _ in range(200):
        order = rng.permutation(3000)
        one = conformal.fit_label_sets(yes_NC[order[:50]], has_NC[order[:50]], 0.2)
        shares.append((one.sets(yes_NC[order[50:]]) | (has_NC[order[50:]] == 0)).all(axis=1).mean())
    assert 0.79 <= np.mean(shares) <= 0.83


def test_intervals_cover_and_end_where_the_numbers_end() -> None:
    rng = np.random.default_rng(5)
    values_C = np.arange(0.0, 11.0)
    true_N = rng.integers(0, 11, size=2000).astype(np.float64)
    predicted_N = np.clip(true_N + rng.normal(0, 1.5, size=2000), 0, 10)
    shares = []
    for _ in range(200):
        order = rng.permutation(2000)
        found = conformal.fit_intervals(predicted_N[order[:60]], true_N[order[:60]], 0.1, values_C)
        low_N, high_N = found.intervals(predicted_N[order[60:]])
        shares.append(((low_N <= true_N[order[60:]]) & (true_N[order[60:]] <= high_N)).mean())
        assert low_N.min() >= 0
        assert high_N.max() <= 10
    assert np.mean(shares) >= 0.89
    residuals = sorted(abs(predicted_N[order[:60]] - true_N[order[:60]]))
    assert found.half_width == residuals[math.ceil(61 * 0.9) - 1]
    read = conformal.from_document(json.loads(json.dumps(found.document())))
    assert isinstance(read, PredictionIntervals)
    assert read == found


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN in row 1"):
        conformal.quantile(np.array([0.1, np.nan, 0.2]), 0.3)
