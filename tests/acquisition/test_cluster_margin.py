"""Cluster-margin against scikit-learn's clusters and a plain round-robin."""

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering

from activelora.acquisition import cluster_margin
from tests.acquisition.conftest import context_of, drawn_embeddings, drawn_log_probs, pool_of


def same_partition(one, other):
    return (np.equal.outer(one, one) == np.equal.outer(other, other)).all()


@pytest.mark.parametrize("num", [1, 2, 7, 30])
def test_clusters_are_those_of_scikit_learn(num):
    points_MD = drawn_embeddings(num, 30)
    expected = AgglomerativeClustering(num, linkage="average").fit_predict(points_MD.astype(np.float64))
    assert same_partition(cluster_margin.average_linkage(points_MD, num), expected)


def test_turns_begin_with_the_smallest_cluster():
    assert cluster_margin.round_robin(np.array([0, 0, 1, 0, 2, 1, 0])) == [4, 2, 0, 5, 1, 3, 6]
    assert cluster_margin.round_robin(np.array([], dtype=np.int64)) == []


@pytest.mark.parametrize("seed", range(3))
def test_picks_are_those_of_the_definition(seed):
    pool = pool_of(drawn_log_probs(seed, 60), embeddings_ND=drawn_embeddings(seed, 60))
    picks = cluster_margin.select(pool, 6, context_of("cluster_margin", prefilter_factor=4))
    probs = np.sort(pool.mean_probs_NC, axis=1)
    margins = probs[:, -1] - probs[:, -2]
    kept = np.argsort(margins)[:24]
    clusters = AgglomerativeClustering(6, linkage="average").fit_predict(pool.embeddings_ND[kept].astype(np.float64))
    queues = sorted(
        ([int(index) for index in kept[clusters == c]] for c in range(6)), key=lambda q: (len(q), margins[q[0]])
    )
    expected = []
    while len(expected) < 6:
        expected += [queue.pop(0) for queue in queues if queue]
    assert [pick.index for pick in picks] == expected[:6]
    assert [pick.score for pick in picks] == pytest.approx((-margins[expected[:6]]).tolist())
