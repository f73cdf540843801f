"""ProbCover against greedy maximum coverage on the explicit graph."""

import numpy as np
import pytest

from activelora.acquisition import distances, probcover
from activelora.acquisition.random import draw
from tests.acquisition.conftest import context_of, drawn_embeddings, drawn_log_probs, pool_of


def naive(points_ND, labeled_LD, radius, num):
    points_ND, labeled_LD = points_ND.astype(np.float64), labeled_LD.astype(np.float64)
    covers = np.array([[np.linalg.norm(a - b) <= radius for b in points_ND] for a in points_ND])
    open_N = np.array([all(np.linalg.norm(a - b) > radius for b in labeled_LD) for a in points_ND], dtype=bool)
    chosen = []
    for _ in range(num):
        gains = [-1 if index in dict(chosen) else int((covers[index] & open_N).sum()) for index in range(len(covers))]
        best = int(np.argmax(gains))
        if gains[best] == 0:
            break
        chosen.append((best, gains[best]))
        open_N &= ~covers[best]
    return chosen


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("num_labeled", [0, 5])
@pytest.mark.parametrize("radius", [0.8, 1.7])
def test_picks_are_those_of_the_explicit_graph(seed, num_labeled, radius):
    points_ND, labeled_LD = drawn_embeddings(seed, 60), drawn_embeddings(seed + 50, num_labeled)
    expected = naive(points_ND, labeled_LD, radius, 12)
    assert len(expected) > 2
    assert probcover.greedy(points_ND, labeled_LD, radius, 12)[: len(expected)] == expected


def test_blocks_do_not_change_the_result():
    points_ND = drawn_embeddings(0, 400)
    assert len(points_ND) ** 2 < distances.BLOCK_NUMBERS
    assert probcover.greedy(points_ND, points_ND[:0], 1.5, 9) == naive(points_ND, points_ND[:0], 1.5, 9)


def test_once_all_is_covered_the_farthest_comes_next():
    points_ND = np.array([[0, 0], [1, 0], [3, 0], [0.5, 0]], dtype=np.float32)
    chosen = probcover.greedy(points_ND, points_ND[:0], 2.5, 4)
    assert chosen == [(1, 4), (2, 0), (0, 0), (3, 0)]


def naive_radius(points_ND, clusters_N, purity):
    """The largest pairwise distance below which enough balls are pure, found by trying all."""
    gaps = np.linalg.norm(points_ND[:, None].astype(np.float64) - points_ND[None], axis=2)
    is_other = clusters_N[:, None] != clusters_N[None]
    best = 0.0
    for radius in np.unique(gaps):
        pure = 1 - ((gaps <= radius * (1 + 1e-12)) & is_other).any(axis=1).mean()
        if pure >= purity - 1e-12:
            best = max(best, float(radius))
    return best


@pytest.mark.parametrize("purity", [0.6, 0.9, 0.95])
def test_the_radius_is_the_largest_pure_one(purity):
    """No pairwise distance lies between the two: they define the same graph."""
    points_ND = drawn_embeddings(2, 40)
    clusters_N = (points_ND[:, 0] > 0.5).astype(np.int64)
    found, tried = probcover.pure_radius(points_ND, clusters_N, purity), naive_radius(points_ND, clusters_N, purity)
    gaps = np.linalg.norm(points_ND[:, None].astype(np.float64) - points_ND[None], axis=2)
    np.testing.assert_array_equal(gaps <= found, gaps <= tried * (1 + 1e-12))


def test_one_cluster_has_no_radius():
    assert probcover.pure_radius(drawn_embeddings(0, 5), np.zeros(5, dtype=np.int64), 0.9) == 0.0


def test_a_given_radius_is_used_and_named():
    pool = pool_of(drawn_log_probs(0), embeddings_ND=drawn_embeddings(4))
    picks = probcover.select(pool, 3, context_of("probcover", radius=1.25))
    order = np.array(draw(pool.item_ids, 40, 7))  # equal gains go by the seeded draw
    expected = naive(pool.embeddings_ND[order], pool.embeddings_ND[:0], 1.25, 3)
    assert [(pick.index, pick.score) for pick in picks] == [(order[row], gain) for row, gain in expected]
    assert picks[0].reason == f"covers {picks[0].score:.0f} more of 40 items within distance 1.25, pick 1"
