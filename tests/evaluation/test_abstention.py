"""Thresholds to answer alone: against sums over all outcomes, and how often they keep their word."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from activelora.evaluation import abstention
from activelora.evaluation.abstention import Abstention, Outcomes
from activelora.evaluation.classification_metrics import correct_predictions
from tests.evaluation.real_predictions import trec_predictions


def drawn(seed: int, num: int) -> Outcomes:
    """Return answers that are right as often as they say."""
    rng = np.random.default_rng(seed)
    confidence_N = rng.beta(4, 1, size=num)
    return Outcomes(confidence_N, (rng.random(num) < confidence_N).astype(np.float64))


def part(outcomes: Outcomes, indices_N: np.ndarray) -> Outcomes:
    return Outcomes(outcomes.confidence_N[indices_N], outcomes.correct_N[indices_N])


def slow_threshold(
    learned: Outcomes, tested: Outcomes, risk: float, confidence: float, thresholds: list[float]
) -> float | None:
    """Return what split fixed-sequence testing takes, step by step."""

    def p_value(outcomes: Outcomes, threshold: float) -> float:
        answers = [right for sure, right in zip(*outcomes, strict=True) if sure >= threshold]
        if not answers:
            return 1.0
        num, wrong = len(answers), answers.count(0.0)
        return sum(math.comb(num, k) * risk**k * (1 - risk) ** (num - k) for k in range(wrong + 1))

    best = min(p_value(learned, threshold) for threshold in thresholds)
    begin = max(i for i, threshold in enumerate(thresholds) if p_value(learned, threshold) <= best * (1 + 1e-12))
    taken = None
    for threshold in thresholds[begin:]:
        if p_value(tested, threshold) > 1 - confidence:
            break
        taken = threshold
    return taken


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("risk", [0.05, 0.2, 0.3])
def test_thresholds_are_those_of_the_slow_procedure(seed: int, risk: float) -> None:
    learned, tested = drawn(seed, 60), drawn(seed + 100, 61)
    found = abstention.fit(learned, tested, 0.9)
    thresholds = found.thresholds_T.tolist()
    assert thresholds == sorted(set(thresholds), reverse=True)
    assert thresholds[-1] == 0.0
    assert set(thresholds[:-1]) <= set(learned.confidence_N.tolist())
    assert found.threshold(risk) == slow_threshold(learned, tested, risk, 0.9, thresholds)
    read = abstention.from_document(json.loads(json.dumps(found.document())))
    assert isinstance(read, Abstention)
    assert [read.threshold(one) for one in (0.02, 0.1, 0.3, 0.9)] == [
        found.threshold(one) for one in (0.02, 0.1, 0.3, 0.9)
    ]


def kept(outcomes: Outcomes, risk: float, confidence: float, num: int, splits: int) -> tuple[float, float]:
    """Return in which share of random splits the error is above the bound, and the mean share answered alone."""
    rng, broken, shares = np.random.default_rng(11), 0, []
    for _ in range(splits):
        order = rng.permutation(len(outcomes.correct_N))
        learned, tested, rest = (part(outcomes, one) for one in (order[:num], order[num : 2 * num], order[2 * num :]))
        threshold = abstention.fit(learned, tested, confidence).threshold(risk)
        alone_N = rest.confidence_N >= (math.inf if threshold is None else threshold)
        shares.append(alone_N.mean())
        broken += bool(alone_N.any() and 1 - rest.correct_N[alone_N].mean() > risk)
    return broken / splits, float(np.mean(shares))


def slack(rate: float, splits: int) -> float:
    return 3 * math.sqrt(rate * (1 - rate) / splits)


@pytest.mark.parametrize(("risk", "confidence"), [(0.1, 0.9), (0.2, 0.8)])
def test_the_bound_holds_on_real_predictions(shared_data: Path, risk: float, confidence: float) -> None:
    probs_NC, labels_N = trec_predictions(shared_data)
    outcomes = Outcomes(probs_NC.max(axis=1), correct_predictions(probs_NC, labels_N))
    broken, share = kept(outcomes, risk, confidence, num=150, splits=300)
    assert broken <= 1 - confidence + slack(1 - confidence, 300)
    assert share > 0.1, "nothing is ever answered alone: the test shows nothing"


def test_the_bound_holds_where_every_threshold_is_a_little_too_bold() -> None:
    """The worst case: the error is just above r wherever one looks, and many thresholds are tried."""
    rng = np.random.default_rng(8)
    outcomes = Outcomes(rng.random(40_000), (rng.random(40_000) >= 0.105).astype(np.float64))
    broken, _ = kept(outcomes, 0.1, 0.8, num=120, splits=1000)
    assert broken <= 0.2 + slack(0.2, 1000)
    assert broken > 0.05, "the procedure is so careful that this case is none"


@pytest.mark.parametrize(("risk", "confidence"), [(0.05, 0.9), (0.01, 0.95), (0.2, 0.5)])
def test_the_fewest_rows_are_those_that_suffice_without_a_mistake(risk: float, confidence: float) -> None:
    for num in (abstention.fewest(risk, confidence) - 1, abstention.fewest(risk, confidence)):
        right = Outcomes(np.linspace(0.5, 1, num), np.ones(num))
        found = abstention.fit(right, right, confidence)
        assert (found.threshold(risk) is not None) == ((1 - risk) ** num <= 1 - confidence)
    assert abstention.fewest(0.05, 0.9) == 45


def test_an_operating_point_is_counted_on_the_holdout_and_said_in_words() -> None:
    right = Outcomes(np.linspace(0.5, 1, 100), np.ones(100))
    found = abstention.fit(right, right, 0.9)
    holdout = Outcomes(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1.0, 0.0, 1.0, 1.0]))
    point = abstention.operating_point(found, 0.05, holdout, 0.95)
    assert point["threshold"] == 0.0
    assert (point["share"], point["error"]) == (1.0, 0.25)
    assert point["share_interval"][0] < 1.0 == point["share_interval"][1]
    assert point["error_interval"][0] < 0.25 < point["error_interval"][1]
    assert abstention.words(point, found) == (
        "100 % could be answered alone at an error of at most 5 % (90 % confidence)"
    )
    few = abstention.fit(part(right, np.arange(30)), part(right, np.arange(30)), 0.9)
    point = abstention.operating_point(few, 0.05, holdout, 0.95)
    assert (point["threshold"], point["share"], point["error"]) == (None, 0.0, None)
    assert abstention.words(point, few) == (
        "nothing can be answered alone at an error of at most 5 % (90 % confidence): at least 45 calibration rows are "
        "needed, and there are 30"
    )
    wrong = Outcomes(right.confidence_N, np.zeros(100))
    none = abstention.fit(wrong, wrong, 0.9)
    point = abstention.operating_point(none, 0.05, holdout, 0.95)
    assert abstention.words(point, none) == (
        "nothing can be answered alone at an error of at most 5 % (90 % confidence)"
    )


def test_an_empty_half_is_refused() -> None:
    with pytest.raises(ValueError, match="both halves need items"):
        abstention.fit(drawn(1, 0), drawn(1, 5), 0.9)
