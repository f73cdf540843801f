"""Label sets against scikit-learn; the bootstrap against repeating items."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, hamming_loss, log_loss

from activelora.evaluation.calibration import ece
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.evaluation.multi_label_evaluation import _statistics, bits, decisions, evaluate, evaluate_scaled
from activelora.uncertainty import measures

SETTINGS = EvaluationSettings(num_bins=10, num_resamples=200, level=0.9, seed=1, label_names=("a", "b", "c"))


def random_predictions(seed, num=40):
    rng = np.random.default_rng(seed)
    return rng.random((num, 3)), rng.integers(0, 8, num)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000))
def test_metrics_equal_scikit_learn_s(seed):
    yes_NC, masks_N = random_predictions(seed)
    true_NC = np.array([[mask >> place & 1 for place in range(3)] for mask in masks_N])
    np.testing.assert_array_equal(bits(masks_N, 3), true_NC)
    said_NC = yes_NC > 0.5
    found = evaluate(yes_NC, masks_N, EvaluationSettings(10, 100, 0.9, 1, ("a", "b", "c")))["metrics"]
    assert found["accuracy"] == pytest.approx(accuracy_score(true_NC, said_NC))
    assert found["hamming_loss"] == pytest.approx(hamming_loss(true_NC, said_NC))
    assert found["micro_f1"] == pytest.approx(f1_score(true_NC, said_NC, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(true_NC, said_NC, average="macro"))
    assert found["nll"] == pytest.approx(log_loss(true_NC.ravel(), yes_NC.ravel()))
    assert found["ece"] == pytest.approx(ece(decisions(yes_NC), true_NC.ravel(), 10))


def test_statistics_under_weights_are_those_of_repeated_items():
    yes_NC, masks_N = random_predictions(5)
    true_NC, said_NC = bits(masks_N, 3), (yes_NC > 0.5).astype(np.int64)
    counts_BN = np.random.default_rng(2).multinomial(40, np.full(40, 1 / 40), size=4)
    for name, statistic in _statistics(yes_NC, true_NC, said_NC, 10).items():
        for counts_N, found in zip(counts_BN, statistic(counts_BN / 40), strict=True):
            repeated = np.repeat(np.arange(40), counts_N)
            expected = evaluate(yes_NC[repeated], masks_N[repeated], SETTINGS)["metrics"][name]
            assert found == pytest.approx(expected), name


def test_the_document_and_degenerate_holdouts():
    yes_NC, masks_N = random_predictions(6)
    document = evaluate(yes_NC, masks_N, SETTINGS)
    assert {"accuracy", "ece", "nll", "brier", "micro_f1", "macro_f1", "hamming_loss"} <= set(document["intervals"])
    for name, (low, high) in document["intervals"].items():
        assert low <= document["metrics"][name] + 0.05, name
        assert high >= document["metrics"][name] - 0.05, name
    rows = document["per_class"]
    assert [row["label"] for row in rows] == ["a", "b", "c"]
    assert rows[1]["count"] == int(bits(masks_N, 3)[:, 1].sum())
    scaled = evaluate_scaled(yes_NC, masks_N, SETTINGS)["metrics"]
    assert scaled["ece"] == pytest.approx(document["metrics"]["ece"])
    empty = evaluate(np.full((3, 3), 0.2), np.zeros(3, dtype=np.int64), SETTINGS)
    assert empty["metrics"]["accuracy"] == 1.0
    assert not {"micro_f1", "macro_f1"} & set(empty["metrics"])
    assert empty["per_class"][0]["f1"] is None


def test_measures_are_means_over_the_labels_binary_ones():
    rng = np.random.default_rng(0)
    probs_NKC2 = rng.dirichlet(np.ones(2), (5, 3, 4))
    for measure in measures.MEASURES.values():
        found_N = measures.mean_over_labels(measure, np.log(probs_NKC2))
        slow = [np.mean([measure(np.log(one_KC2[None, :, c]))[0] for c in range(4)]) for one_KC2 in probs_NKC2]
        np.testing.assert_allclose(found_N, slow, atol=1e-12)
