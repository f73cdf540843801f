"""TypiClust: the most typical item of each cluster that has no label yet (Hacohen et al. 2022, arXiv 2202.02794).

Labelled and unlabelled items together are put into L + b clusters by k-means over embeddings (at most 500, as in the
paper's code), b the batch. Clusters with the fewest labelled or picked items come first, of those the largest. Of a
cluster the most typical free item is taken: score = 1 / (mean distance to its k nearest neighbours within the cluster).
Made for the cold start, when uncertainty means little. The model's answers are not used.
Letters: N unlabelled items, L labelled items, D features, K clusters, M members of a cluster, k neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.checked import by_id, embeddings, labeled_embeddings, ordered, require_memory
from activelora.acquisition.clusters import FIT_MOST, kmeans, sample
from activelora.acquisition.distances import Points
from activelora.acquisition.spill import blocks
from activelora.acquisition.strategy import (
    EMBEDDINGS,
    Float32Array,
    FloatArray,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)
from activelora.config.acquisition import TypiclustConfig

MAX_CLUSTERS = 500
DECIMALS = 9
"""Mean distances are rounded, so that equal items are equal whatever the order of a sum."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the batch: one item of each cluster in turn, those without labels first."""
    order = by_id(pool)
    if not len(order) or num < 1:
        return []
    labeled_LD, points_ND = labeled_embeddings(pool), ordered(embeddings(pool), order)
    num_wide = min(len(points_ND), FIT_MOST) * points_ND.shape[1]
    require_memory(context, "the clustering of `typiclust`", 8e-9 * points_ND.size + 3 * 8e-9 * num_wide)
    everything_ND = np.concatenate([points_ND, labeled_LD])
    clusters = kmeans(everything_ND, min(len(labeled_LD) + num, MAX_CLUSTERS), context.seed)
    queues = _Queues(everything_ND, clusters, len(points_ND), context.settings.neighbors, context.settings.sample)
    picks: list[Pick] = []
    while len(picks) < min(num, len(points_ND)):
        row, score, size, covered = queues.take()
        whose = "without a label" if not covered else f"with {covered} labelled or picked"
        reason = f"the most typical of a cluster of {size} items {whose}, pick {len(picks) + 1}"
        picks.append(Pick(int(order[row]), score, reason))
    return picks


def typicality(points_MD: Float32Array, neighbors: int, most: int = 1 << 62) -> FloatArray:
    """Return typicality_M = 1 / (mean distance to the nearest other points); a single point has 0.

    Args:
        points_MD: The members of a cluster.
        neighbors: k; all others, if there are fewer.
        most: Members among which neighbours are sought; of more members, this many are drawn at random, the same for
            all.
    """
    if len(points_MD) > most:
        return _sampled_typicality(points_MD, neighbors, most)
    neighbors = min(neighbors, len(points_MD) - 1)
    if neighbors < 1:
        return np.zeros(len(points_MD))
    points, mean_M = Points(points_MD), np.empty(len(points_MD))
    for rows in points.blocks(len(points)):
        squared_BM = points.squared(rows)
        squared_BM[np.arange(len(squared_BM)), np.arange(rows.start, rows.stop)] = -1.0  # the point itself comes first
        nearest_Bk = np.partition(squared_BM, neighbors, axis=1)[:, : neighbors + 1]
        mean_M[rows] = np.sqrt(np.sort(nearest_Bk, axis=1)[:, 1:]).mean(axis=1)
    return _inverse(mean_M)


def _sampled_typicality(points_MD: Float32Array, neighbors: int, most: int) -> FloatArray:
    drawn = sample(len(points_MD), most, seed=0)
    others, mean_M = Points(points_MD[drawn]), np.empty(len(points_MD))
    neighbors = min(neighbors, most - 1)
    for block in blocks(points_MD):
        points = Points(points_MD[block], others.middle_D)
        for rows in points.blocks(most):
            squared_BM = points.squared(rows, others)
            own = np.arange(block.start + rows.start, block.start + rows.stop)
            columns = np.searchsorted(drawn, own).clip(max=most - 1)
            here = np.flatnonzero(drawn[columns] == own)
            squared_BM[here, columns[here]] = np.inf  # a point is no neighbour of its own
            nearest_Bk = np.partition(squared_BM, neighbors - 1, axis=1)[:, :neighbors]
            mean_M[own] = np.sqrt(np.sort(nearest_Bk, axis=1)).mean(axis=1)
    return _inverse(mean_M)


def _inverse(mean_M: FloatArray) -> FloatArray:
    return np.asarray(1.0 / np.maximum(np.round(mean_M, DECIMALS), 10.0**-DECIMALS), dtype=np.float64)


class _Queues:
    """Each cluster's free items, the most typical first.

    Args:
        points_ND: Unlabelled, then labelled items.
        clusters_N: Their clusters.
        num_free: How many are unlabelled.
        neighbors: k.
        most: Members among which neighbours are sought, as in :func:`typicality`.
    """

    def __init__(
        self, points_ND: Float32Array, clusters_N: NDArray[np.int64], num_free: int, neighbors: int, most: int
    ) -> None:
        self._points_ND = points_ND
        self._neighbors = neighbors
        self._most = most
        self._members = [np.flatnonzero(clusters_N == cluster) for cluster in range(int(clusters_N.max()) + 1)]
        self._free = [members[members < num_free] for members in self._members]
        self._covered = [int((members >= num_free).sum()) for members in self._members]
        self._ranked: dict[int, list[tuple[int, float]]] = {}

    def take(self) -> tuple[int, float, int, int]:
        """Take the next item: its row and typicality, its cluster's size, and how many of that were covered before."""
        taken = {cluster: len(self._free[cluster]) - len(left) for cluster, left in self._ranked.items()}
        open_ = [cluster for cluster, free in enumerate(self._free) if len(free) > taken.get(cluster, 0)]
        covered = {cluster: self._covered[cluster] + taken.get(cluster, 0) for cluster in open_}
        best = min(open_, key=lambda one: (covered[one], -len(self._members[one]), int(self._free[one][0])))
        if best not in self._ranked:
            self._ranked[best] = self._rank(best)
        row, score = self._ranked[best].pop(0)
        return row, score, len(self._members[best]), covered[best]

    def _rank(self, cluster: int) -> list[tuple[int, float]]:
        members, free = self._members[cluster], self._free[cluster]
        scores = typicality(self._points_ND[members], self._neighbors, self._most)[: len(free)]
        order = np.argsort(-scores, kind="stable")
        return [(int(free[row]), float(scores[row])) for row in order]


STRATEGY = Strategy(
    "typiclust",
    "1 / mean distance to its neighbours: the most typical of each cluster without labels",
    select,
    needs=frozenset({EMBEDDINGS}),
    settings=TypiclustConfig,
)
