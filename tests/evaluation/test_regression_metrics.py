"""Errors and intervals of predicted numbers against scikit-learn, scipy and plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from activelora.errors import ModelError
from activelora.evaluation import regression_metrics as metrics
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.evaluation.regression_evaluation import evaluate, evaluate_scaled
from activelora.uncertainty import measures

VALUES_C = np.array([1.0, 2.0, 3.0, 5.0, 8.0])
SETTINGS = EvaluationSettings(num_bins=15, num_resamples=200, level=0.8, seed=1)


def random_predictions(seed, num=60):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(5, 0.5), num), rng.integers(0, 5, num)


def slow_interval(probs_C, level):
    below, low, high = 0.0, None, None
    for prob, value in zip(probs_C, VALUES_C, strict=True):
        below += prob
        if low is None and below >= (1 - level) / 2 - 1e-9:
            low = value
        if high is None and below >= (1 + level) / 2 - 1e-9:
            high = value
    return low, high


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000))
def test_metrics_equal_scikit_learn_scipy_and_loops(seed):
    probs_NC, labels_N = random_predictions(seed)
    true_N, predicted_N = VALUES_C[labels_N], probs_NC @ VALUES_C
    found = evaluate(probs_NC, labels_N, VALUES_C, EvaluationSettings(15, 100, 0.8, 1))["metrics"]
    assert found["rmse"] == pytest.approx(root_mean_squared_error(true_N, predicted_N))
    assert found["mae"] == pytest.approx(mean_absolute_error(true_N, predicted_N))
    assert found["spearman"] == pytest.approx(stats.spearmanr(true_N, predicted_N).statistic)
    intervals = [slow_interval(probs_C, 0.8) for probs_C in probs_NC]
    inside = [low <= true <= high for (low, high), true in zip(intervals, true_N, strict=True)]
    assert found["interval_coverage"] == pytest.approx(np.mean(inside))
    assert found["interval_width"] == pytest.approx(np.mean([high - low for low, high in intervals]))
    assert found["nll"] == pytest.approx(-np.log(np.maximum(probs_NC[range(60), labels_N], 2.2e-16)).mean())


def test_weighted_spearman_is_that_of_the_repeated_items():
    rng = np.random.default_rng(3)
    left_N, right_N = rng.integers(0, 6, 40).astype(float), rng.normal(size=40)
    counts_BN = rng.multinomial(40, np.full(40, 1 / 40), size=5)
    found_B = metrics.spearman_of(left_N, right_N)(counts_BN / 40)
    for counts_N, found in zip(counts_BN, found_B, strict=True):
        repeated = np.repeat(np.arange(40), counts_N)
        assert found == pytest.approx(stats.spearmanr(left_N[repeated], right_N[repeated]).statistic)


def test_a_document_without_nan_and_with_intervals_around_the_metrics():
    probs_NC, labels_N = random_predictions(7)
    document = evaluate(probs_NC, labels_N, VALUES_C, SETTINGS)
    for name, (low, high) in document["intervals"].items():
        assert low <= document["metrics"][name] <= high
    assert set(document["intervals"]) == set(document["metrics"])
    assert document["reliability"] is document["confusion"] is None
    assert len(document["scatter"]["true"]) == 60
    covered = [point["covered"] for point in document["coverage"]]
    assert covered == sorted(covered)
    assert document == evaluate(probs_NC, labels_N, VALUES_C, SETTINGS)
    assert evaluate_scaled(probs_NC, labels_N, VALUES_C, SETTINGS)["metrics"] == document["metrics"]


def test_degenerate_holdouts():
    sure_NC = np.eye(5)[[2, 2, 2]]
    found = evaluate(sure_NC, np.array([2, 2, 2]), VALUES_C, SETTINGS)["metrics"]
    assert "spearman" not in found
    assert (found["rmse"], found["mae"], found["interval_coverage"], found["interval_width"]) == (0, 0, 1, 0)
    one = evaluate(np.full((1, 5), 0.2), np.array([0]), VALUES_C, SETTINGS)
    assert one["intervals"]["rmse"] == pytest.approx([2.8, 2.8])
    with pytest.raises(ValueError, match="NaN or infinity in row 0"):
        evaluate(np.full((1, 5), np.nan), np.array([0]), VALUES_C, SETTINGS)


def test_variance_is_that_of_the_mixture_and_splits_into_within_and_between():
    rng = np.random.default_rng(0)
    probs_NKC = rng.dirichlet(np.ones(5), (7, 4))
    total_N = measures.number_variance(np.log(probs_NKC), VALUES_C)
    mixture_NC = probs_NKC.mean(axis=1)
    np.testing.assert_allclose(total_N, metrics.predictive_variance(mixture_NC, VALUES_C))
    between_N = measures.epistemic_variance(np.log(probs_NKC), VALUES_C)
    slow = [np.var([np.dot(probs_C, VALUES_C) for probs_C in probs_KC]) for probs_KC in probs_NKC]
    np.testing.assert_allclose(between_N, slow)
    assert (total_N > between_N).all()
    one_N = measures.epistemic_variance(np.log(probs_NKC[:, :1]), VALUES_C)
    np.testing.assert_array_equal(one_N, 0.0)
    np.testing.assert_allclose(measures.number_variance(np.log(probs_NKC), 3 * VALUES_C + 1), 9 * total_N)
    with pytest.raises(ModelError, match="NaN"):
        measures.number_variance(np.full((1, 1, 5), np.nan), VALUES_C)
