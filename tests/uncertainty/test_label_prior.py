from __future__ import annotations

import math

import numpy as np
import pytest

from activelora.uncertainty import label_prior


@pytest.fixture
def log_probs() -> np.ndarray:
    return np.log(np.random.default_rng(4).dirichlet([4.0, 1.0, 0.5], size=(40, 3)))


def test_against_a_loop(log_probs: np.ndarray) -> None:
    log_probs_NKC = log_probs
    prior_C = label_prior.estimate_prior(log_probs_NKC)
    num, samples, classes = log_probs_NKC.shape
    for c in range(classes):
        mean = sum(math.exp(log_probs_NKC[n, k, c]) for n in range(num) for k in range(samples)) / (num * samples)
        assert prior_C[c] == pytest.approx(mean)
    corrected_NKC = label_prior.correct(log_probs_NKC, prior_C)
    for n, k in [(0, 0), (7, 2), (39, 1)]:
        weights = [math.exp(log_probs_NKC[n, k, c]) / prior_C[c] for c in range(classes)]
        np.testing.assert_allclose(np.exp(corrected_NKC[n, k]), np.array(weights) / sum(weights))


def test_rows_sum_to_one_and_a_flat_prior_changes_nothing(log_probs: np.ndarray) -> None:
    log_probs_NKC = log_probs
    corrected_NKC = label_prior.correct(log_probs_NKC, np.array([0.6, 0.3, 0.1]))
    np.testing.assert_allclose(np.exp(corrected_NKC).sum(axis=-1), 1.0)
    np.testing.assert_allclose(label_prior.correct(log_probs_NKC, np.full(3, 1 / 3)), log_probs_NKC)


def test_a_model_that_always_says_its_prior_becomes_undecided() -> None:
    log_probs_NKC = np.log(np.tile([0.8, 0.15, 0.05], (10, 1, 1)))
    prior_C = label_prior.estimate_prior(log_probs_NKC)
    np.testing.assert_allclose(np.exp(label_prior.correct(log_probs_NKC, prior_C)), 1 / 3)


def test_padding_and_never_given_labels_stay_impossible() -> None:
    log_probs_NKC = np.log(np.array([[[0.5, 0.5]], [[0.9, 0.1]]]))
    log_probs_NKC = np.concatenate([log_probs_NKC, np.full((2, 1, 1), -np.inf)], axis=2)
    prior_C = label_prior.estimate_prior(log_probs_NKC)
    assert prior_C.sum() == pytest.approx(1.0)
    corrected_NKC = label_prior.correct(log_probs_NKC, prior_C)
    assert np.isneginf(corrected_NKC[..., 2]).all()
    np.testing.assert_allclose(np.exp(corrected_NKC).sum(axis=-1), 1.0)


def test_nan_and_unfit_priors_are_refused_by_name(log_probs: np.ndarray) -> None:
    log_probs_NKC = log_probs
    with pytest.raises(ValueError, match="log_probs_NKC has NaN in row 1"):
        label_prior.estimate_prior(np.array([[[0.0]], [[np.nan]]]))
    with pytest.raises(ValueError, match="not empty"):
        label_prior.estimate_prior(np.empty((0, 1, 3)))
    with pytest.raises(ValueError, match="does not fit"):
        label_prior.correct(log_probs_NKC, np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="positive"):
        label_prior.correct(log_probs_NKC, np.array([1.0, 0.0, 0.0]))


def test_items_with_different_numbers_of_answers_count_for_the_answers_they_have() -> None:
    """An answer that few items have is not a rare one: undecided items stay undecided."""
    padded = np.array([[0.25, 0.25, 0.25, 0.25, 0.0]] * 9 + [[0.2] * 5])
    with np.errstate(divide="ignore"):
        log_probs_NKC = np.log(padded)[:, None, :]
    prior_C = label_prior.estimate_prior(log_probs_NKC)
    np.testing.assert_allclose(prior_C, 0.2)
    np.testing.assert_allclose(np.exp(label_prior.correct(log_probs_NKC, prior_C))[:, 0], padded)


def test_a_prior_is_fitted_to_items_of_more_or_fewer_answers() -> None:
    prior_C = np.array([0.5, 0.2, 0.3])
    np.testing.assert_allclose(label_prior.fitted(prior_C, 3), prior_C)
    np.testing.assert_allclose(label_prior.fitted(prior_C, 2), [0.5, 0.2])
    np.testing.assert_allclose(label_prior.fitted(prior_C, 5), [0.5, 0.2, 0.3, 1 / 3, 1 / 3])


def test_few_items_are_believed_less() -> None:
    prior_C = np.array([0.7, 0.2, 0.1])
    np.testing.assert_allclose(label_prior.shrunk(prior_C, 0), [1 / 3] * 3)
    three_C = np.array([0.7**0.75, 0.2**0.75, 0.1**0.75])
    np.testing.assert_allclose(label_prior.shrunk(prior_C, 3), three_C / three_C.sum())
    np.testing.assert_allclose(label_prior.shrunk(prior_C, 10**9), prior_C, rtol=1e-6)
    np.testing.assert_allclose(label_prior.shrunk(prior_C, 3, strength=0), prior_C)
    largest = [label_prior.shrunk(prior_C, num).max() for num in (0, 1, 3, 10, 200)]
    assert largest == sorted(largest)


@pytest.mark.parametrize(
    ("counts", "is_lopsided"), [([19, 1], True), ([8, 2], False), ([81, 19], True), ([0, 5], True), ([0, 0], False)]
)
def test_lopsided_labels(counts: list[int], is_lopsided: bool) -> None:
    assert label_prior.is_lopsided(np.repeat(np.arange(2), counts)) is is_lopsided


def test_a_calibrated_model_of_a_lopsided_pool_is_made_worse() -> None:
    """The audit's case: what the rule is for."""
    generator = np.random.default_rng(0)
    positive_N = generator.beta(0.25, 4.75, size=4000)
    labels_N = (generator.random(4000) < positive_N).astype(np.int64)
    log_probs_NKC = np.log(np.stack([1 - positive_N, positive_N], axis=1))[:, None]
    prior_C = label_prior.estimate_prior(log_probs_NKC)
    before = (log_probs_NKC[:, 0].argmax(axis=1) == labels_N).mean()
    after = (label_prior.correct(log_probs_NKC, prior_C)[:, 0].argmax(axis=1) == labels_N).mean()
    assert before - after > 0.05
    assert label_prior.is_lopsided(labels_N)
