"""Core-set against the algorithm as written, all distances anew at every pick."""

from dataclasses import replace

import numpy as np
import pytest

from activelora.acquisition import core_set
from tests.acquisition.conftest import context_of, drawn_embeddings, drawn_log_probs, pool_of


def naive(points_ND, centers_LD, num):
    """k-center greedy in float64, O(N²) a batch; the first of equal distances."""
    points_ND, centers = points_ND.astype(np.float64), list(centers_LD.astype(np.float64))
    picked = []
    while len(picked) < num:
        if not centers:
            best = int(np.linalg.norm(points_ND - points_ND.mean(axis=0), axis=1).argmin())
        else:
            nearest_N = [min(((point - center) ** 2).sum() for center in centers) for point in points_ND]
            best = int(np.argmax([-1.0 if index in picked else value for index, value in enumerate(nearest_N)]))
        picked.append(best)
        centers.append(points_ND[best])
    return picked


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("num_labeled", [0, 1, 7, 150])
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_picks_are_those_of_the_naive_algorithm(seed, num_labeled, offset):
    """Also where the embeddings lie close together far from the origin, as a language model's do."""
    points_ND = drawn_embeddings(seed, 120, 16) + np.float32(offset)
    centers_LD = drawn_embeddings(seed + 100, num_labeled, 16) + np.float32(offset)
    chosen = core_set.greedy(points_ND, centers_LD, 15)
    assert [row for row, _ in chosen] == naive(points_ND, centers_LD, 15)


def test_ties_on_a_grid_go_by_order():
    grid_ND = np.array([[x, y] for x in range(5) for y in range(5)], dtype=np.float32) / 3
    chosen = core_set.greedy(grid_ND, np.empty((0, 2), dtype=np.float32), 25)
    assert [row for row, _ in chosen] == naive(grid_ND, np.empty((0, 2)), 25)


def test_distances_are_right_and_never_rise():
    points_ND, centers_LD = drawn_embeddings(1, 80, 8), drawn_embeddings(2, 5, 8)
    chosen = core_set.greedy(points_ND, centers_LD, 20)
    centers = list(centers_LD)
    for row, distance in chosen:
        assert distance == pytest.approx(min(np.linalg.norm(points_ND[row] - center) for center in centers), rel=1e-5)
        centers.append(points_ND[row])
    distances = [distance for _, distance in chosen]
    assert distances == sorted(distances, reverse=True)


def test_copies_are_not_picked_while_anything_else_is_left():
    different_ND = drawn_embeddings(3, 10, 64) + 10
    points_ND = np.concatenate([different_ND] * 4)
    chosen = core_set.greedy(points_ND, np.empty((0, 64), dtype=np.float32), 40)
    assert len({row % 10 for row, _ in chosen[:10]}) == 10
    assert [distance for _, distance in chosen[10:]] == [0.0] * 30
    rest = sorted(set(range(40)) - {row for row, _ in chosen[:10]})
    assert [row for row, _ in chosen[10:]] == rest


def test_copies_of_labelled_items_come_last():
    points_ND = drawn_embeddings(4, 20, 32)
    chosen = core_set.greedy(points_ND, points_ND[5:15], 20)
    assert {row for row, _ in chosen[:10]} == {*range(5), *range(15, 20)}


def test_the_labelled_set_seeds_the_selection():
    pool = pool_of(drawn_log_probs(0), embeddings_ND=np.linspace(0, 1, 40, dtype=np.float32)[:, None])
    (first,) = core_set.select(pool, 1, context_of("core_set"))
    assert first.index in (19, 20)
    assert "from the middle of the pool" in first.reason
    seeded = replace(pool, labeled_embeddings_LD=np.array([[0.0], [0.2]], dtype=np.float32))
    picks = core_set.select(seeded, 2, context_of("core_set"))
    assert [pick.index for pick in picks] == [39, 23]
    assert "from the nearest labelled or picked item, pick 1" in picks[0].reason
