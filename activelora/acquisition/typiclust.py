"""TypiClust: the most typical item of each cluster that has no label yet (Hacohen et al. 2022, arXiv 2202.02794).

As in the authors' code: embeddings, here about their mean, are brought to length 1; labelled and unlabelled items
together are put into L + b clusters by k-means (at most 500), b the batch. Clusters of at most five items are left out
while others have free ones. The clusters with the fewest labelled items come first, of those the largest, and the batch
goes round them. Of a cluster the most typical free item is taken: score = 1 / (mean distance to its k nearest free
neighbours within the cluster), k at most half of them. Made for the cold start, when uncertainty means little. The
model's answers are not used.
Letters: N unlabelled items, L labelled items, D features, K clusters, M members of a cluster, k neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.centering import directions
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
SMALL_CLUSTER = 5
"""Items of a cluster that is too small to tell what is typical."""
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
    everything_ND = _of_length_one(np.concatenate([points_ND, labeled_LD]), pool.middle_D)
    clusters_N = kmeans(everything_ND, min(len(labeled_LD) + num, MAX_CLUSTERS), context.seed)
    rounds = _Rounds(everything_ND, clusters_N, len(points_ND), context.settings.neighbors, context.settings.sample)
    picks: list[Pick] = []
    while len(picks) < min(num, len(points_ND)):
        row, score, size, covered = rounds.take()
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


def _of_length_one(points_ND: Float32Array, middle_D: FloatArray | None) -> Float32Array:
    """Return the points without the mean, if there is one, divided by their norms, in their place; a zero stays."""
    for block in blocks(points_ND):
        if middle_D is not None:
            points_ND[block] = directions(points_ND[block], middle_D)
            continue
        norms_B1 = np.linalg.norm(points_ND[block], axis=1, keepdims=True)
        points_ND[block] /= np.where(norms_B1 > 0, norms_B1, 1.0)
    return points_ND


class _Rounds:
    """Goes round the clusters that have free items.

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
        members = [np.flatnonzero(clusters_N == cluster) for cluster in range(int(clusters_N.max()) + 1)]
        self._sizes = [len(rows) for rows in members]
        self._free = [rows[rows < num_free] for rows in members]
        self._covered = [size - len(free) for size, free in zip(self._sizes, self._free, strict=True)]
        self._waiting: list[int] = []

    def take(self) -> tuple[int, float, int, int]:
        """Take the next item: its row and typicality, its cluster's size, and how many of that were covered before."""
        if not self._waiting:
            self._waiting = self._round()
        cluster = self._waiting.pop(0)
        free = self._free[cluster]
        scores = typicality(self._points_ND[free], max(1, min(self._neighbors, len(free) // 2)), self._most)
        best = int(scores.argmax())
        covered = self._covered[cluster]
        self._free[cluster] = np.delete(free, best)
        self._covered[cluster] += 1
        return int(free[best]), float(scores[best]), self._sizes[cluster], covered

    def _round(self) -> list[int]:
        """Return the clusters of the next round, the one to begin with first."""
        open_ = [cluster for cluster, free in enumerate(self._free) if len(free)]
        large = [cluster for cluster in open_ if self._sizes[cluster] > SMALL_CLUSTER]
        return sorted(large or open_, key=lambda one: (self._covered[one], -self._sizes[one], int(self._free[one][0])))


STRATEGY = Strategy(
    "typiclust",
    "1 / mean distance to its neighbours: the most typical of each cluster without labels",
    select,
    needs=frozenset({EMBEDDINGS}),
    settings=TypiclustConfig,
)
