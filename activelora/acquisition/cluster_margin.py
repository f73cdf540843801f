"""Cluster-margin: close calls, taken in turn from different clusters (Citovsky et al. 2021, arXiv 2107.14263).

The k_m = ``prefilter_factor`` × b items of the smallest margin are clustered once, by average linkage of the Euclidean
distances of embeddings, into at most b clusters, b the batch. Clusters then give one item each, in turns, the smallest
cluster first, each time their item of smallest margin. score = the margin measure. Equal ones go by item id.

The paper clusters the whole pool once in a campaign, to save time, and then looks only at the clusters of the k_m
items. Here these are clustered by themselves, with the current model's embeddings: k_m² numbers instead of N².
Letters: N unlabelled items, M candidates, D features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.checked import embeddings
from activelora.acquisition.strategy import (
    EMBEDDINGS,
    Float32Array,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)
from activelora.acquisition.ties import ranking
from activelora.acquisition.top import hesitation, measure
from activelora.config.acquisition import ClusterMarginConfig


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the batch, cluster by cluster."""
    scores_N, points_ND = measure(pool, "margin"), embeddings(pool)
    candidates = ranking(scores_N, pool.item_ids, context.seed)[: context.settings.prefilter_factor * num]
    if not len(candidates):
        return []
    clusters_M = average_linkage(points_ND[candidates], num)
    sizes = np.bincount(clusters_M)
    picks = []
    for position, row in enumerate(round_robin(clusters_M)[:num], 1):
        index, size = int(candidates[row]), sizes[clusters_M[row]]
        what = f"its two best answers are {-scores_N[index]:.3f} apart, of a cluster of {size} such items"
        picks.append(Pick(index, float(scores_N[index]), f"{what}, pick {position}{hesitation(pool, index)}"))
    return picks


def average_linkage(points_MD: Float32Array, num: int) -> NDArray[np.int64]:
    """Return clusters_M: agglomerative clusters by average linkage, at most ``num``; M at least 1."""
    if len(points_MD) == 1:
        return np.zeros(1, dtype=np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(points_MD.astype(np.float64), method="average", metric="euclidean")
    numbers_M: NDArray[np.int64] = np.unique(fcluster(tree, num, criterion="maxclust"), return_inverse=True)[1]
    return numbers_M.astype(np.int64)


def round_robin(clusters_M: NDArray[np.int64]) -> list[int]:
    """Return all rows in the order in which clusters give them: in turns, the smallest cluster first.

    Args:
        clusters_M: Each candidate's cluster; the candidates are in the order in which a cluster gives them. Clusters of
            equal size go by their first candidate.
    """
    members: dict[int, list[int]] = {}
    for row, cluster in enumerate(clusters_M.tolist()):
        members.setdefault(cluster, []).append(row)
    ordered = sorted(members.values(), key=len)
    longest = len(ordered[-1]) if ordered else 0
    return [rows[turn] for turn in range(longest) for rows in ordered if turn < len(rows)]


STRATEGY = Strategy(
    "cluster_margin",
    "the top m·b by margin, in turns from their clusters, the smallest first",
    select,
    needs=frozenset({EMBEDDINGS}),
    measures=("margin",),
    settings=ClusterMarginConfig,
)
