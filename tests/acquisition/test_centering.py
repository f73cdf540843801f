"""The middle of the embeddings that a strategy sees, in memory and in a file."""

import numpy as np
import pytest

from activelora.acquisition import spill
from activelora.acquisition.centering import directions, middle
from activelora.acquisition.pool import scored_pool
from activelora.scoring.table import score_table
from tests.acquisition.conftest import drawn_embeddings, drawn_log_probs

IDS = [f"item-{index:02d}" for index in range(30)]
LABELED = set(IDS[3:30:4])


def tables(embeddings_ND, num_shards):
    log_probs_NKC = drawn_log_probs(0, len(IDS))
    for rows in np.array_split(np.arange(len(IDS)), num_shards):
        ids = [IDS[row] for row in rows]
        yield score_table(ids, log_probs_NKC[rows], embeddings_ND=embeddings_ND[rows], labeled=LABELED & set(ids))


@pytest.mark.parametrize("memory_gb", [4.0, 1e-6])
@pytest.mark.parametrize("num_shards", [1, 3])
def test_the_middle_is_the_mean_of_unlabelled_and_labelled_rows(num_shards, memory_gb, monkeypatch):
    monkeypatch.setattr(spill, "BLOCK_BYTES", 300)
    embeddings_ND = drawn_embeddings(3, len(IDS), 12) + np.float32(5.0)
    excluded = IDS[:2]
    pool = scored_pool(tables(embeddings_ND, num_shards), excluded=excluded, memory_gb=memory_gb, centers=True)
    assert isinstance(pool.embeddings_ND, np.memmap) == (memory_gb < 1)
    np.testing.assert_allclose(pool.middle_D, embeddings_ND[2:].mean(axis=0, dtype=np.float64), rtol=1e-6)
    whole = scored_pool(tables(embeddings_ND, 1), excluded=excluded, centers=True)
    np.testing.assert_allclose(pool.middle_D, whole.middle_D, rtol=1e-12)
    np.testing.assert_array_equal(pool.embeddings_ND, whole.embeddings_ND)  # distances are given what they were


def test_there_is_no_middle_unless_it_is_wanted_or_without_rows():
    embeddings_ND = drawn_embeddings(3, len(IDS), 12)
    assert scored_pool(tables(embeddings_ND, 2)).middle_D is None
    assert scored_pool([], centers=True).middle_D is None
    assert middle([embeddings_ND[:0], embeddings_ND[:0]]) is None


def test_directions_have_length_one_or_none():
    embeddings_ND = drawn_embeddings(4, 5, 3)
    embeddings_ND[2] = 0.0
    np.testing.assert_allclose(np.linalg.norm(directions(embeddings_ND, None), axis=1), [1, 1, 0, 1, 1])
    middle_D = embeddings_ND[3].astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(directions(embeddings_ND, middle_D), axis=1), [1, 1, 1, 0, 1])
