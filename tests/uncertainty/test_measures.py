"""The measures against Python loops and scipy, then what must hold for any distribution."""

import math

import numpy as np
import pytest
from scipy import stats

from activelora.errors import ConfigError, ModelError
from activelora.uncertainty.measures import MEASURES, check_measure

NUM_ITEMS, NUM_SAMPLES, NUM_CLASSES = 30, 5, 4


def draw(seed=0, spread=3.0, num_items=NUM_ITEMS, num_samples=NUM_SAMPLES, num_classes=NUM_CLASSES):
    logits = np.random.default_rng(seed).normal(0, spread, (num_items, num_samples, num_classes))
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def pad(log_probs_NKC, num_more=2):
    width = [(0, 0), (0, 0), (0, num_more)]
    return np.pad(log_probs_NKC, width, constant_values=-np.inf)


def plain(name, samples):
    """One item's score from K lists of probabilities, by the formula as written."""
    num_samples, num_classes = len(samples), len(samples[0])
    mean = [sum(sample[c] for sample in samples) / num_samples for c in range(num_classes)]
    entropies = [-sum(p * math.log(p) for p in sample if p > 0) for sample in samples]
    total = -sum(p * math.log(p) for p in mean if p > 0)
    votes = [sample.index(max(sample)) for sample in samples]
    first, second = sorted([*mean, 0.0], reverse=True)[:2]
    return {
        "least_confidence": 1 - max(mean),
        "margin": second - first,
        "predictive_entropy": total,
        "expected_entropy": sum(entropies) / num_samples,
        "bald": total - sum(entropies) / num_samples,
        "variation_ratio": 1 - max(votes.count(c) for c in range(num_classes)) / num_samples,
        "vote_entropy": -sum(votes.count(c) / num_samples * math.log(votes.count(c) / num_samples) for c in set(votes)),
        "consensus_kl": sum(p * math.log(p / mean[c]) for sample in samples for c, p in enumerate(sample) if p > 0)
        / num_samples,
        "variance": sum((sample[c] - mean[c]) ** 2 for sample in samples for c in range(num_classes)) / num_samples,
    }[name]


every_measure = pytest.mark.parametrize("name", sorted(MEASURES))


@every_measure
@pytest.mark.parametrize("spread", [0.1, 3.0, 40.0])
@pytest.mark.parametrize("num_samples", [1, 5])
def test_measure_equals_the_formula_item_by_item(name, spread, num_samples):
    log_probs_NKC = draw(1, spread, num_samples=num_samples)
    expected = [plain(name, item) for item in np.exp(log_probs_NKC).tolist()]
    np.testing.assert_allclose(MEASURES[name](log_probs_NKC), expected, atol=1e-12)


def test_entropies_equal_scipy():
    log_probs_NKC = draw(2)
    probs_NKC = np.exp(log_probs_NKC)
    predictive = stats.entropy(probs_NKC.mean(axis=1), axis=1)
    np.testing.assert_allclose(MEASURES["predictive_entropy"](log_probs_NKC), predictive, atol=1e-12)
    expected = stats.entropy(probs_NKC, axis=2).mean(axis=1)
    np.testing.assert_allclose(MEASURES["expected_entropy"](log_probs_NKC), expected, atol=1e-12)


@every_measure
def test_padding_with_impossible_answers_changes_nothing(name):
    log_probs_NKC = draw(3)
    np.testing.assert_allclose(MEASURES[name](pad(log_probs_NKC)), MEASURES[name](log_probs_NKC), atol=1e-12)


@every_measure
def test_order_of_samples_items_and_answers_does_not_matter(name):
    log_probs_NKC = draw(4)
    scores_N = MEASURES[name](log_probs_NKC)
    rng = np.random.default_rng(0)
    samples, answers = rng.permutation(NUM_SAMPLES), rng.permutation(NUM_CLASSES)
    items = rng.permutation(NUM_ITEMS)
    np.testing.assert_allclose(MEASURES[name](log_probs_NKC[:, samples]), scores_N, atol=1e-12)
    np.testing.assert_allclose(MEASURES[name](log_probs_NKC[:, :, answers]), scores_N, atol=1e-12)
    np.testing.assert_array_equal(MEASURES[name](log_probs_NKC[items]), scores_N[items])


@every_measure
def test_bounds(name):
    scores_N = MEASURES[name](np.concatenate([draw(5, spread) for spread in (0.01, 1, 10, 300)]))
    low, high = {
        "least_confidence": (0, 1 - 1 / NUM_CLASSES),
        "margin": (-1, 0),
        "predictive_entropy": (0, math.log(NUM_CLASSES)),
        "expected_entropy": (0, math.log(NUM_CLASSES)),
        "bald": (0, math.log(min(NUM_SAMPLES, NUM_CLASSES))),
        "variation_ratio": (0, 1 - 1 / min(NUM_SAMPLES, NUM_CLASSES)),
        "vote_entropy": (0, math.log(min(NUM_SAMPLES, NUM_CLASSES))),
        "consensus_kl": (0, math.log(min(NUM_SAMPLES, NUM_CLASSES))),
        "variance": (0, 1 - 1 / min(NUM_SAMPLES, NUM_CLASSES)),
    }[name]
    assert (scores_N >= low).all()
    assert (scores_N <= high + 1e-12).all()


@pytest.mark.parametrize("name", ["bald", "variation_ratio", "vote_entropy", "consensus_kl", "variance"])
@pytest.mark.parametrize("spread", [0.01, 1.0, 300.0])
def test_samples_that_agree_have_no_disagreement(name, spread):
    log_probs_NKC = draw(6, spread, num_samples=1).repeat(7, axis=1)
    np.testing.assert_allclose(MEASURES[name](log_probs_NKC), 0, atol=1e-12)


def test_bald_is_the_total_minus_the_expected_entropy():
    log_probs_NKC = draw(7)
    difference = MEASURES["predictive_entropy"](log_probs_NKC) - MEASURES["expected_entropy"](log_probs_NKC)
    np.testing.assert_allclose(MEASURES["bald"](log_probs_NKC), difference, atol=1e-12)
    assert (difference > 0).all()


@pytest.mark.parametrize("spread", [0.01, 3.0, 300.0])
@pytest.mark.parametrize("num_samples", [1, 2, 9])
def test_divergence_from_the_consensus_is_bald(spread, num_samples):
    """The members are the samples: mean_k KL(p_k ‖ p̄) = H[p̄] − mean_k H[p_k]."""
    log_probs_NKC = pad(draw(11, spread, num_samples=num_samples))
    kl_N, bald_N = MEASURES["consensus_kl"](log_probs_NKC), MEASURES["bald"](log_probs_NKC)
    np.testing.assert_allclose(kl_N, bald_N, atol=1e-12)


def test_samples_that_are_sure_of_different_answers_are_all_disagreement():
    with np.errstate(divide="ignore"):
        log_probs_NKC = np.log(np.eye(4)[None])
    assert MEASURES["bald"](log_probs_NKC)[0] == pytest.approx(math.log(4))
    assert MEASURES["variation_ratio"](log_probs_NKC)[0] == pytest.approx(0.75)
    assert MEASURES["variance"](log_probs_NKC)[0] == pytest.approx(0.75)
    assert MEASURES["expected_entropy"](log_probs_NKC)[0] == 0


@every_measure
def test_certain_and_uniform_are_the_two_ends(name):
    with np.errstate(divide="ignore"):
        certain = np.log(np.array([[[1.0, 0, 0]]]))
    uniform = np.log(np.full((1, 1, 3), 1 / 3))
    ends = {"least_confidence": (0, 2 / 3), "margin": (-1, 0), "predictive_entropy": (0, math.log(3))}
    ends["expected_entropy"] = ends["predictive_entropy"]
    low, high = ends.get(name, (0, 0))
    assert MEASURES[name](certain)[0] == pytest.approx(low, abs=1e-12)
    assert MEASURES[name](uniform)[0] == pytest.approx(high, abs=1e-12)


@every_measure
def test_one_answer_is_certain(name):
    scores_N = MEASURES[name](np.zeros((3, 2, 1)))
    np.testing.assert_array_equal(scores_N, -1.0 if name == "margin" else 0.0)


@every_measure
def test_no_items_give_no_scores(name):
    assert MEASURES[name](np.empty((0, 3, 4))).shape == (0,)


@every_measure
def test_scores_are_float64_and_leave_the_input_alone(name):
    log_probs_NKC = pad(draw(8)).astype(np.float32)
    before = log_probs_NKC.copy()
    assert MEASURES[name](log_probs_NKC).dtype == np.float64
    np.testing.assert_array_equal(log_probs_NKC, before)


@every_measure
def test_nan_is_refused_with_its_row(name):
    log_probs_NKC = draw(9)
    log_probs_NKC[7, 2, 1] = np.nan
    with pytest.raises(ModelError, match=r"NaN for 1 of 30 items, first in row 7"):
        MEASURES[name](log_probs_NKC)


@every_measure
def test_logits_are_refused(name):
    with pytest.raises(ValueError, match="not normalised in row"):
        MEASURES[name](np.random.default_rng(0).normal(size=(3, 2, 4)))


@every_measure
def test_an_item_without_any_answer_is_refused(name):
    log_probs_NKC = draw(10)
    log_probs_NKC[3] = -np.inf
    with pytest.raises(ValueError, match="not normalised in row 3"):
        MEASURES[name](log_probs_NKC)


@pytest.mark.parametrize("shape", [(3, 4), (3, 0, 4), (3, 2, 0)])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match="must be"):
        MEASURES["bald"](np.zeros(shape))


def test_unknown_measure_names_the_nearest():
    with pytest.raises(ConfigError, match=r"acquisition.measure: there is no `entropi`.*predictive_entropy"):
        check_measure("entropi")
    check_measure("bald")
