"""Shortcuts for large pools make the picks of the plain algorithms, and keep to the memory that is allowed."""

import resource

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activelora.acquisition import badge, batch_bald, clusters, core_set, cover, typiclust
from activelora.acquisition.cover import Cover
from activelora.acquisition.pool import scored_pool
from activelora.acquisition.registry import STRATEGIES
from activelora.acquisition.spill import Parts, mapped
from activelora.errors import ConfigError
from activelora.scoring.table import score_table
from tests.acquisition.conftest import context_of, drawn_embeddings, drawn_log_probs, pool_of
from tests.acquisition.test_core_set import naive


def cover_picks(points_ND, centers_LD, num, hot):
    found, picks = Cover(points_ND, centers_LD, hot), []
    for _ in range(num):
        picks.append(found.farthest()[0])
        found.add(picks[-1])
    return picks, found


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 90), st.integers(1, 12), st.booleans(), st.booleans())
def test_a_cover_picks_as_the_plain_algorithm(seed, num_points, num_centers, hot, is_grid, has_copies):
    """Whatever is hot, with more centres than a block, on a grid full of ties, and among copies."""
    rng = np.random.default_rng(seed)
    points_ND = rng.normal(0, 1, (num_points, 3)).astype(np.float32)
    centers_LD = rng.normal(0, 1, (num_centers, 3)).astype(np.float32)
    if is_grid:
        points_ND, centers_LD = np.round(2 * points_ND), np.round(2 * centers_LD)
    if has_copies:
        points_ND = points_ND[rng.integers(0, num_points, num_points)]
    num = min(num_points, 25)
    picks, _ = cover_picks(points_ND, centers_LD, num, hot)
    assert picks == naive(points_ND, centers_LD, num)


def test_few_distances_are_computed():
    points_ND = drawn_embeddings(0, 5000, 32)
    picks, found = cover_picks(points_ND, points_ND[:0], 60, 64)
    assert picks == [row for row, _ in core_set.greedy(points_ND, points_ND[:0], 60)]
    assert found.num_distances < 0.4 * len(points_ND) * 60


@pytest.mark.parametrize("block", [7])
def test_a_cover_reads_a_file_in_blocks(tmp_path, monkeypatch, block):
    points_ND, centers_LD = drawn_embeddings(1, 120, 8), drawn_embeddings(2, 70, 8)
    np.save(tmp_path / "points.npy", points_ND)
    mapped_ND = np.load(tmp_path / "points.npy", mmap_mode="r")
    monkeypatch.setattr(cover, "BLOCK_NUMBERS", 8 * block)
    assert cover_picks(mapped_ND, centers_LD, 12, 20)[0] == naive(points_ND, centers_LD, 12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("num_answers", [2, 30])
def test_badge_skips_only_what_changes_nothing(seed, num_answers):
    """The factored distances of all items at every pick, from the same random numbers."""
    probs_NC = np.random.default_rng(seed).dirichlet(np.full(num_answers, 0.3), 400)
    residuals_NC, points_ND = badge.residuals(probs_NC), drawn_embeddings(seed, 400, 12).astype(np.float64)
    norms_N = (residuals_NC**2).sum(axis=1) * (points_ND**2).sum(axis=1)
    rng, squared_N, picks = np.random.default_rng(9), np.full(400, np.inf), [int(norms_N.argmax())]
    while len(picks) < 60:
        last = picks[-1]
        products_N = (residuals_NC @ residuals_NC[last]) * (points_ND @ points_ND[last])
        squared_N = np.minimum(squared_N, norms_N + norms_N[last] - 2 * products_N)
        squared_N[picks] = 0
        edges_N = squared_N.clip(0).cumsum()
        picks.append(int(np.searchsorted(edges_N, rng.random() * edges_N[-1], side="right")))
    chosen = badge.kmeans_plus_plus(residuals_NC, points_ND.astype(np.float32), 60, 9)
    assert [row for row, _ in chosen] == picks


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("num_answers", "limit"), [(3, 10**5), (3, 500), (12, 2000)])
def test_batch_bald_scores_few_items_again_and_picks_the_same(seed, num_answers, limit):
    """With joint answers enumerated, and with drawn ones."""
    probs_NKC = np.exp(drawn_log_probs(seed, 200, 8, num_answers, spread=1.5))
    joint, expected_N = batch_bald._Joint(8, limit, seed), batch_bald._entropy(probs_NKC).mean(axis=1)
    free_N, picks = np.ones(200, dtype=bool), []
    for _ in range(9):
        gains_N = np.round(np.maximum(joint.conditional_entropy(probs_NKC) - expected_N, 0), batch_bald.DECIMALS)
        row = int(np.where(free_N, gains_N, -1).argmax())
        picks.append((row, gains_N[row]))
        free_N[row] = False
        joint.add(probs_NKC[row])
    assert batch_bald.greedy(probs_NKC, 9, limit, seed) == picks
    joint = batch_bald._Joint(8, limit, seed)
    gains = batch_bald._Gains(probs_NKC, joint)
    for _ in range(9):
        joint.add(probs_NKC[gains.take()[0]])
    if limit == 10**5:
        assert gains.num_screened < 0.6 * 9 * 200


@pytest.mark.parametrize("most_bytes", [0, 500, 10**6])
def test_parts_are_the_same_in_memory_and_in_a_file(most_bytes):
    rng = np.random.default_rng(0)
    whole = [rng.random((size, 2, width)) for size, width in ((5, 3), (0, 1), (9, 4))]
    parts = Parts(most_bytes)
    assert not parts
    for part in whole:
        parts.add(part)
    assert parts
    rows_N = rng.permutation(14)[:11]
    found = parts.rows(rows_N, -np.inf)
    padded = np.concatenate([np.pad(p, [(0, 0), (0, 0), (0, 4 - p.shape[2])], constant_values=-np.inf) for p in whole])
    np.testing.assert_array_equal(found, padded[rows_N])
    assert isinstance(found, np.memmap) == (most_bytes < found.nbytes)


@pytest.mark.parametrize(
    "strategy", ["core_set", "badge", "batch_bald", "epig", "density_weighted", "hybrid", "cluster_margin"]
)
def test_picks_do_not_depend_on_the_memory_allowed(strategy):
    ids, log_probs_NKC = [f"i{n:03d}" for n in range(150)], drawn_log_probs(3, 150)
    tables = [
        score_table(
            ids[part],
            log_probs_NKC[part],
            with_samples=True,
            embeddings_ND=drawn_embeddings(4, 150)[part],
            labeled=ids[140:],
        )
        for part in (slice(0, 60), slice(60, 150))
    ]
    batches = []
    for memory_gb in (4.0, 1e-7):
        pool = scored_pool(iter(tables), iter(tables), memory_gb=memory_gb)
        assert isinstance(pool.embeddings_ND, np.memmap) == (memory_gb < 1)
        batches.append(STRATEGIES[strategy].select(pool, 12, context_of(strategy, configurations=500)))
    assert batches[0] == batches[1]
    assert len(batches[0]) == 12


@pytest.mark.parametrize("strategy", ["typiclust", "probcover", "cal", "discriminative", "batch_bald"])
def test_a_strategy_that_needs_more_memory_says_so(strategy):
    pool = pool_of(drawn_log_probs(0), labeled_LD=drawn_embeddings(1, 3))
    with pytest.raises(ConfigError, match=rf"`{strategy}` .*takes .* GB of memory, and 1e-07 GB are allowed"):
        STRATEGIES[strategy].select(pool, 3, context_of(strategy, memory_gb=1e-7))


def test_room_for_a_temporary_file_is_taken_before_it_is_mapped():
    """A hole in the file would be filled when a page is written: on a full disk, that kills the process."""
    array = mapped((1 << 20,), np.uint8)
    assert array.nbytes == 1 << 20
    assert not array.any()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(ConfigError, match=r"temporary folder .*no room for 0\.1 GB.*Set TMPDIR"):
            mapped((10**7, 2), np.float32)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_clusters_of_a_sample_take_in_all_points(monkeypatch):
    middles = np.array([[0, 0], [50, 0], [0, 50]], dtype=np.float32)
    points_ND = np.repeat(middles, 100, axis=0) + drawn_embeddings(5, 300, 2)
    monkeypatch.setattr(clusters, "FIT_MOST", 60)
    found_N = clusters.kmeans(points_ND, 3, seed=1)
    assert [len({*found_N[part : part + 100]}) for part in (0, 100, 200)] == [1, 1, 1]
    assert {*found_N} == {0, 1, 2}


def test_typicality_among_a_sample_is_right_and_near_the_whole():
    points_MD = drawn_embeddings(6, 500, 4)
    drawn, sampled_M = clusters.sample(500, 200, seed=0), typiclust.typicality(points_MD, 10, 200)
    for row in (0, int(drawn[3]), 499):
        others = [place for place in drawn if place != row]
        nearest = np.sort(np.linalg.norm(points_MD[others].astype(np.float64) - points_MD[row], axis=1))[:10]
        assert sampled_M[row] == pytest.approx(1 / nearest.mean(), rel=1e-6)
    whole_M = typiclust.typicality(points_MD, 10)
    assert np.corrcoef(sampled_M, whole_M)[0, 1] > 0.9
    np.testing.assert_array_equal(typiclust.typicality(points_MD, 10, 500), whole_M)


@pytest.mark.parametrize("strategy", ["typiclust", "probcover"])
def test_a_batch_from_a_sample_repeats(strategy):
    pool = pool_of(drawn_log_probs(0, 120), labeled_LD=drawn_embeddings(1, 3))
    batches = [STRATEGIES[strategy].select(pool, 6, context_of(strategy, sample=40)) for _ in range(2)]
    assert batches[0] == batches[1]
    assert len({pick.index for pick in batches[0]}) == 6
