"""TypiClust against its definition."""

from dataclasses import replace

import numpy as np
import pytest

from activelora.acquisition import typiclust
from tests.acquisition.conftest import context_of, drawn_embeddings, drawn_log_probs, pool_of


def blobs(sizes, seed=0, spread=0.02):
    """Points of any length in directions that are far apart, and the direction that each belongs to."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(len(sizes)), sizes)
    angles = 2 * np.pi * owners / len(sizes) + rng.normal(0, spread, len(owners))
    lengths = rng.uniform(1, 30, len(owners))
    return (lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)).astype(np.float32), owners


def of_length_one(points_ND):
    return points_ND / np.linalg.norm(points_ND.astype(np.float64), axis=1, keepdims=True)


def naive_typicality(points_MD, neighbors):
    scores = []
    for index, point_D in enumerate(points_MD.astype(np.float64)):
        others = sorted(float(np.linalg.norm(point_D - other)) for j, other in enumerate(points_MD) if j != index)
        scores.append(1 / np.mean(others[:neighbors]))
    return scores


@pytest.mark.parametrize("neighbors", [1, 5, 100])
def test_typicality_is_that_of_the_definition(neighbors):
    points_MD = drawn_embeddings(0, 25) + 10
    expected = naive_typicality(points_MD, neighbors)
    np.testing.assert_allclose(typiclust.typicality(points_MD, neighbors), expected, rtol=1e-6)


def test_typicality_of_one_point_and_of_copies():
    assert typiclust.typicality(np.ones((1, 3), dtype=np.float32), 5).tolist() == [0.0]
    np.testing.assert_allclose(typiclust.typicality(np.ones((3, 3), dtype=np.float32), 5), 1e9)


def test_every_cluster_gives_its_most_typical_item_the_largest_first():
    points_ND, owners = blobs((8, 12, 10))
    pool = pool_of(drawn_log_probs(0, 30), embeddings_ND=points_ND)
    picks = typiclust.select(pool, 3, context_of("typiclust", typical_neighbors=4))
    assert owners[[pick.index for pick in picks]].tolist() == [1, 2, 0]
    for pick in picks:
        members = np.flatnonzero(owners == owners[pick.index])
        scores = naive_typicality(of_length_one(points_ND[members]), 4)
        assert pick.index == members[int(np.argmax(scores))]
        assert pick.score == pytest.approx(max(scores), rel=1e-4)
    assert picks[0].reason == "the most typical of a cluster of 12 items without a label, pick 1"


def test_clusters_with_labels_wait():
    points_ND, owners = blobs((9, 9, 9, 9))
    labeled_LD = points_ND[[0, 9]] + np.float32(0.01)
    pool = pool_of(drawn_log_probs(0, 36), embeddings_ND=points_ND, labeled_LD=labeled_LD)
    picks = typiclust.select(pool, 2, context_of("typiclust"))
    assert sorted(owners[[pick.index for pick in picks]]) == [2, 3]


def test_a_batch_of_one_is_the_most_typical_of_all():
    pool = pool_of(drawn_log_probs(0), embeddings_ND=drawn_embeddings(3))
    (pick,) = typiclust.select(pool, 1, context_of("typiclust", typical_neighbors=7))
    assert pick.index == int(np.argmax(naive_typicality(of_length_one(pool.embeddings_ND), 7)))


def test_more_picks_than_clusters_go_round_again():
    points_ND = np.repeat(np.array([[9, 0], [0, 9], [-9, 0]], dtype=np.float32), [8, 7, 6], axis=0)
    pool = pool_of(drawn_log_probs(0, 21), embeddings_ND=points_ND)
    picks = typiclust.select(pool, 7, context_of("typiclust"))
    assert [pick.index for pick in picks] == [0, 8, 15, 1, 9, 16, 2]
    assert picks[3].reason == "the most typical of a cluster of 8 items with 1 labelled or picked, pick 4"


def naive_batch(points_ND, owners, labeled_owners, num, neighbors):
    """The authors' way, written plainly: sort the clusters once, go round them, forget what is picked."""
    sizes = {owner: int((owners == owner).sum()) + labeled_owners.count(owner) for owner in set(owners)}
    ranked = sorted(sizes, key=lambda owner: (labeled_owners.count(owner), -sizes[owner]))
    ranked = [owner for owner in ranked if sizes[owner] > 5]
    free, picks = owners.copy(), []
    for turn in range(num):
        members = np.flatnonzero(free == ranked[turn % len(ranked)])
        scores = naive_typicality(of_length_one(points_ND[members]), min(neighbors, len(members) // 2))
        picks.append(int(members[int(np.argmax(scores))]))
        free[picks[-1]] = -1
    return picks


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_against_the_authors_way_written_plainly(seed):
    """Three clusters with labels, one too small; more picks than clusters."""
    points_ND, owners = blobs((12, 20, 9, 4, 15), seed)
    labeled_LD = 3 * points_ND[[0, 1, 12]]
    pool = pool_of(drawn_log_probs(0, 60), embeddings_ND=points_ND, labeled_LD=labeled_LD)
    picks = typiclust.select(pool, 2, context_of("typiclust", typical_neighbors=20))
    assert [pick.index for pick in picks] == naive_batch(points_ND, owners, [0, 0, 1], 2, 20)


def test_small_clusters_are_left_out_while_others_have_items():
    points_ND, owners = blobs((4, 9, 8))
    pool = pool_of(drawn_log_probs(0, 21), embeddings_ND=points_ND)
    picks = typiclust.select(pool, 3, context_of("typiclust"))
    assert owners[[pick.index for pick in picks]].tolist() == [1, 2, 1]
    everything = typiclust.select(pool, 21, context_of("typiclust"))
    assert sorted(pick.index for pick in everything) == list(range(21))


def test_what_all_embeddings_have_in_common_is_taken_off_before_the_norms():
    """The angles are those of the differences: far from the origin they are all alike."""
    points_ND, owners = blobs((8, 12, 10))
    common_D = np.array([200.0, -100.0], dtype=np.float32)
    near = pool_of(drawn_log_probs(0, 30), embeddings_ND=points_ND)
    far = replace(near, embeddings_ND=points_ND + common_D, labeled_embeddings_LD=near.labeled_embeddings_LD + common_D)
    expected = typiclust.select(near, 3, context_of("typiclust"))
    picks = typiclust.select(replace(far, middle_D=common_D.astype(np.float64)), 3, context_of("typiclust"))
    assert [pick.index for pick in picks] == [pick.index for pick in expected]
    np.testing.assert_allclose([p.score for p in picks], [p.score for p in expected], rtol=1e-2)
    assert sorted(owners[[pick.index for pick in picks]]) == [0, 1, 2]
    plain = typiclust.select(far, 3, context_of("typiclust"))
    assert [pick.index for pick in plain] != [pick.index for pick in expected]


def test_with_the_middle_the_scores_are_those_of_centred_points_of_length_one():
    points_ND = drawn_embeddings(3, 40, 6)
    labeled_LD = points_ND[:4] + np.float32(0.1)
    middle_D = np.concatenate([points_ND, labeled_LD]).mean(axis=0, dtype=np.float64)
    pool = pool_of(drawn_log_probs(0, 40), embeddings_ND=points_ND, labeled_LD=labeled_LD)
    picks = typiclust.select(replace(pool, middle_D=middle_D), 5, context_of("typiclust"))
    moved = replace(
        pool,
        embeddings_ND=of_length_one(points_ND - middle_D).astype(np.float32),
        labeled_embeddings_LD=of_length_one(labeled_LD - middle_D).astype(np.float32),
    )
    expected = typiclust.select(moved, 5, context_of("typiclust"))
    assert [pick.index for pick in picks] == [pick.index for pick in expected]
    np.testing.assert_allclose([p.score for p in picks], [p.score for p in expected], rtol=1e-4)
