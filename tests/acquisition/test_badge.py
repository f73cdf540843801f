"""BADGE against k-means++ on the explicit matrix of gradients."""

import numpy as np
import pytest

from activelora.acquisition import badge
from activelora.errors import ModelError
from tests.acquisition.conftest import context_of, drawn_embeddings, drawn_log_probs, pool_of


def explicit(probs_NC, embeddings_ND):
    """The N × C·D matrix."""
    rows = []
    for probs_C, embedding_D in zip(probs_NC, embeddings_ND, strict=True):
        onehot_C = np.eye(len(probs_C))[probs_C.argmax()]
        rows.append(np.outer(probs_C - onehot_C, embedding_D).ravel())
    return np.array(rows)


def naive(gradients_NX, num, seed):
    """k-means++ as written, all distances anew at every pick, and the same random numbers."""
    rng = np.random.default_rng(seed)
    picked = [int((gradients_NX**2).sum(axis=1).argmax())]
    while len(picked) < num:
        squared_N = np.array(
            [min(((row - gradients_NX[other]) ** 2).sum() for other in picked) for row in gradients_NX]
        )
        share, cumulated = rng.random() * squared_N.sum(), 0.0
        for index, value in enumerate(squared_N):
            cumulated += value
            if cumulated > share:
                picked.append(index)
                break
    return picked


def probs_of(seed, num_items=60, spread=2.0):
    return np.exp(drawn_log_probs(seed, num_items, 5, 4, spread)).mean(axis=1)


@pytest.mark.parametrize("seed", range(6))
def test_picks_are_those_of_the_explicit_matrix(seed):
    probs_NC, embeddings_ND = probs_of(seed), drawn_embeddings(seed, 60, 9)
    chosen = badge.kmeans_plus_plus(badge.residuals(probs_NC), embeddings_ND, 12, seed)
    assert [row for row, _ in chosen] == naive(explicit(probs_NC, embeddings_ND.astype(np.float64)), 12, seed)


def test_norms_and_distances_are_those_of_the_explicit_matrix():
    probs_NC, embeddings_ND = probs_of(1), drawn_embeddings(1, 60, 9)
    gradients_NX = explicit(probs_NC, embeddings_ND)
    norms_N = badge._Gradients(badge.residuals(probs_NC), embeddings_ND).norms_N
    np.testing.assert_allclose(norms_N, (gradients_NX**2).sum(axis=1), rtol=1e-5)
    chosen = badge.kmeans_plus_plus(badge.residuals(probs_NC), embeddings_ND, 10, 0)
    for position, (row, distance) in enumerate(chosen[1:], 1):
        before = [np.linalg.norm(gradients_NX[row] - gradients_NX[other]) for other, _ in chosen[:position]]
        assert distance == pytest.approx(min(before), rel=1e-4)


def test_the_norm_falls_with_confidence():
    """Where −p is embedded in place of p − onehot, the correlation is positive."""
    probs_NC = probs_of(2, 400)
    directions_ND = drawn_embeddings(2, 400, 32)
    embeddings_ND = directions_ND / np.linalg.norm(directions_ND, axis=1, keepdims=True)
    norms_N = np.sqrt(badge._Gradients(badge.residuals(probs_NC), embeddings_ND).norms_N)
    confidence_N = probs_NC.max(axis=1)
    assert np.corrcoef(norms_N, confidence_N)[0, 1] < -0.9
    assert np.corrcoef(np.linalg.norm(probs_NC, axis=1), confidence_N)[0, 1] > 0.9


def test_the_first_pick_has_the_largest_gradient():
    pool = pool_of(drawn_log_probs(3))
    norms_N = np.linalg.norm(explicit(pool.mean_probs_NC, pool.embeddings_ND), axis=1)
    for seed in range(5):
        first = badge.select(pool, 4, context_of("badge", seed=seed))[0]
        assert first.index == norms_N.argmax()
        assert first.score == pytest.approx(norms_N.max(), rel=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_copies_are_not_picked_twice(seed):
    probs_NC, embeddings_ND = probs_of(4, 8), drawn_embeddings(4, 8, 300) + 5
    chosen = badge.kmeans_plus_plus(
        badge.residuals(np.tile(probs_NC, (3, 1))), np.tile(embeddings_ND, (3, 1)), 24, seed
    )
    assert len({row % 8 for row, _ in chosen[:8]}) == 8
    assert [distance for _, distance in chosen[8:]] == [0.0] * 16


@pytest.mark.parametrize("seed", range(5))
def test_items_of_which_the_model_is_certain_are_copies_of_one_another(seed):
    probs_NC = np.concatenate([np.tile(np.eye(4), (5, 1)), probs_of(5, 6)])
    chosen = badge.kmeans_plus_plus(badge.residuals(probs_NC), drawn_embeddings(5, 26, 7), 7, seed)
    assert {row for row, _ in chosen} >= set(range(20, 26))


def test_draws_follow_the_squared_distance():
    """From one pick at the origin of a line, the second is drawn ∝ distance²."""
    residuals_NC = np.array([[1.0], [0.6], [-0.2], [0.0]])
    embeddings_ND = np.ones((4, 1), dtype=np.float32)
    counts = np.zeros(4)
    for seed in range(3000):
        counts[badge.kmeans_plus_plus(residuals_NC, embeddings_ND, 2, seed)[1][0]] += 1
    weights = (residuals_NC[:, 0] - 1) ** 2
    expected = 3000 * weights / weights.sum()
    assert counts[0] == 0
    assert ((counts[1:] - expected[1:]) ** 2 / expected[1:]).sum() < 13.8  # 0.1 % of a chi-squared, 2 degrees


def test_other_seeds_give_other_batches():
    pool = pool_of(drawn_log_probs(6))
    batches = {tuple(p.index for p in badge.select(pool, 5, context_of("badge", seed=seed))) for seed in range(10)}
    assert len(batches) > 5


def test_probabilities_that_are_no_numbers_are_refused(pool):
    pool.mean_probs_NC[3, 1] = np.nan
    with pytest.raises(ModelError, match="mean probabilities are not all finite"):
        badge.select(pool, 2, context_of("badge"))
