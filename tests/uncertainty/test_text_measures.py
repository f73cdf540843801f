"""Measures of written answers against plain loops; their evaluation against scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from activelora.errors import ModelError
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.evaluation.text_evaluation import evaluate
from activelora.uncertainty import text_measures as measures
from activelora.uncertainty.text_measures import TokenScores

SETTINGS = EvaluationSettings(num_bins=10, num_resamples=200, level=0.9, seed=1)


def random_scores(seed, samples=3, tokens=5, words=7):
    """Return distributions over words, the words written, and their token scores."""
    rng = np.random.default_rng(seed)
    probs_KTV = rng.dirichlet(np.ones(words), (samples, tokens))
    written_T = rng.integers(0, words, tokens)
    log_probs_KT = np.log(probs_KTV[:, np.arange(tokens), written_T])
    return probs_KTV, written_T, TokenScores(log_probs_KT, -(probs_KTV * np.log(probs_KTV)).sum(axis=2))


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_measures_equal_plain_loops(reduction):
    probs_KTV, written_T, scores = random_scores(1)
    divide = 5 if reduction == "mean" else 1
    entropy = nll = gap = 0.0
    for token, word in enumerate(written_T):
        mean = sum(probs_KTV[k, token, word] for k in range(3)) / 3
        gap += math.log(mean)
        for k in range(3):
            entropy -= sum(p * math.log(p) for p in probs_KTV[k, token]) / 3
            nll -= math.log(probs_KTV[k, token, word]) / 3
            gap -= math.log(probs_KTV[k, token, word]) / 3
    assert measures.token_entropy(scores, reduction) == pytest.approx(entropy / divide)
    assert measures.answer_nll(scores, reduction) == pytest.approx(nll / divide)
    assert measures.disagreement(scores, reduction) == pytest.approx(gap / divide)


def test_disagreement_is_never_negative_and_zero_where_samples_agree():
    for seed in range(50):
        assert measures.disagreement(random_scores(seed)[2], "sum") >= 0
    _, _, one = random_scores(3, samples=1)
    assert measures.disagreement(one, "sum") == pytest.approx(0, abs=1e-12)
    same = TokenScores(np.repeat(one.log_probs_KT, 4, axis=0), np.repeat(one.entropies_KT, 4, axis=0))
    assert measures.disagreement(same, "mean") == pytest.approx(0, abs=1e-12)
    assert measures.token_entropy(same, "sum") == pytest.approx(measures.token_entropy(one, "sum"))


def test_confidence_is_the_geometric_mean_of_mean_probabilities():
    probs_KTV, written_T, scores = random_scores(4)
    means = [probs_KTV[:, token, word].mean() for token, word in enumerate(written_T)]
    assert measures.confidence(scores) == pytest.approx(math.prod(means) ** (1 / 5))
    impossible = TokenScores(np.full((2, 3), -np.inf), np.zeros((2, 3)))
    assert measures.confidence(impossible) == pytest.approx(0)


def test_nan_is_refused_by_name():
    with pytest.raises(ModelError, match="not numbers for item x"):
        TokenScores(np.full((1, 1), np.nan), np.zeros((1, 1))).check("item x")


def test_evaluation_by_confidence():
    rng = np.random.default_rng(0)
    confidence_N, correct_N = rng.random(80), rng.integers(0, 2, 80).astype(float)
    document = evaluate(correct_N, confidence_N, rng.random(80), SETTINGS)
    bins = [(correct_N - confidence_N)[(confidence_N * 10).astype(int) == m].sum() for m in range(10)]
    found = document["metrics"]
    assert found["ece"] == pytest.approx(np.abs(bins).sum() / 80)
    assert found["brier"] == pytest.approx(brier_score_loss(correct_N, confidence_N))
    assert found["accuracy"] == correct_N.mean()
    order = np.argsort(-confidence_N)
    assert found["aurc"] == pytest.approx(np.mean(np.cumsum(1 - correct_N[order]) / np.arange(1, 81)))
    assert sum(bin_["count"] for bin_ in document["reliability"]) == 80
    for name, (low, high) in document["intervals"].items():
        assert low <= high, name
    with pytest.raises(ValueError, match="confidence_N has NaN or infinity in row 0"):
        evaluate(correct_N, np.full(80, np.nan), np.ones(80), SETTINGS)
