"""CAL against its definition, item by item."""

import numpy as np
import pytest

from activelora.acquisition import cal
from tests.acquisition.conftest import context_of, drawn_embeddings, drawn_log_probs, drawn_probs, pool_of


def naive(points_ND, probs_NC, labeled_LD, labeled_LC, neighbors):
    scores = []
    for point_D, probs_C in zip(points_ND.astype(np.float64), probs_NC, strict=True):
        distances = [float(np.linalg.norm(point_D - labeled_D)) for labeled_D in labeled_LD.astype(np.float64)]
        nearest = sorted(range(len(distances)), key=lambda index: (distances[index], index))[:neighbors]
        scores.append(np.mean([(labeled_LC[j] * np.log(labeled_LC[j] / probs_C)).sum() for j in nearest]))
    return np.array(scores)


@pytest.mark.parametrize("neighbors", [1, 3, 8])
@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_scores_are_those_of_the_definition(neighbors, offset):
    points_ND, labeled_LD = drawn_embeddings(1, 30) + offset, drawn_embeddings(2, 8) + offset
    probs_NC, labeled_LC = drawn_probs(3, 30), drawn_probs(4, 8)
    scores_N = cal.contrast(points_ND, probs_NC, labeled_LD, labeled_LC, neighbors)
    np.testing.assert_allclose(scores_N, naive(points_ND, probs_NC, labeled_LD, labeled_LC, neighbors), atol=1e-8)


def test_neighbours_are_labelled_items_not_the_pools():
    """Two items in one place: among all points each would be the other's neighbour, and both would score 0."""
    embeddings_ND = np.array([[0, 0], [0, 0], [5, 5]], dtype=np.float32)
    log_probs_NKC = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5]]))[:, None]
    pool = pool_of(
        log_probs_NKC,
        embeddings_ND=embeddings_ND,
        labeled_LD=np.array([[0, 1], [5, 4]], dtype=np.float32),
        labeled_LC=np.array([[0.1, 0.9], [0.5, 0.5]]),
    )
    picks = cal.select(pool, 3, context_of("cal", neighbors=1))
    assert [pick.index for pick in picks] == [0, 1, 2]
    assert picks[0].score == pytest.approx(0.8 * np.log(9), abs=1e-8)
    assert picks[2].score == 0
    assert picks[0].reason.startswith("its answer diverges by 1.758 nats from the nearest labelled item, rank 1 of 3")


def test_fewer_labelled_items_than_neighbours():
    pool = pool_of(drawn_log_probs(0, 10), labeled_LD=drawn_embeddings(1, 2))
    assert "from the 2 nearest labelled items" in cal.select(pool, 1, context_of("cal"))[0].reason


def test_answers_of_probability_zero_give_finite_scores():
    probs_NC = np.array([[1.0, 0.0], [0.5, 0.5]])
    scores_N = cal.contrast(drawn_embeddings(0, 2), probs_NC, drawn_embeddings(1, 1), np.array([[0.0, 1.0]]), 1)
    np.testing.assert_allclose(scores_N, [-np.log(cal.SMALLEST), np.log(2)], atol=1e-8)


def test_before_there_are_labels_it_is_a_random_draw_that_says_so():
    pool = pool_of(drawn_log_probs(0))
    batches = {tuple(pick.index for pick in cal.select(pool, 5, context_of("cal", seed=seed))) for seed in range(6)}
    assert len(batches) == 6
    (pick,) = cal.select(pool, 1, context_of("cal"))
    assert pick.score is None
    assert pick.reason == "drawn at random: there is no labelled item to contrast with yet"
