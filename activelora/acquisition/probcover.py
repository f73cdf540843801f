"""ProbCover: the batch whose neighbourhoods cover most of the pool (Yehuda et al. 2022, arXiv 2205.11320).

An item covers all items within the radius δ. Greedy maximum coverage: the next pick covers most items that no labelled
item and no earlier pick covers. score = how many it newly covers. Equal scores go by item id; once everything is
covered, the item farthest from all centres comes next, with score 0.

Without ``radius``, δ is the largest one at which the share ``purity`` of the items has in its ball only items of its
own k-means cluster, with as many clusters as answers (the paper's heuristic): the (1 − purity) quantile of the
distances to the nearest item of another cluster.

No neighbour lists are kept: when items become covered, those near them lose them from their counts. Every item is
covered once, so that all in all two passes over the N² distances are made, and one for δ, in blocks of bounded memory.
Of a pool of more than ``sample`` items, that many drawn at random stand for the whole: as what is to be covered, and as
what is picked from. Letters: N unlabelled items, L labelled items, D features, B items of a block.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.checked import by_id, embeddings, labeled_embeddings, ordered, require_memory
from activelora.acquisition.clusters import kmeans, sample
from activelora.acquisition.distances import BLOCK_NUMBERS, Points
from activelora.acquisition.strategy import (
    EMBEDDINGS,
    Float32Array,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)
from activelora.acquisition.ties import Choose, chooser, first
from activelora.config.acquisition import ProbcoverConfig
from activelora.progress import track
from activelora.seeding import derive_seed

ROUNDING = 1e-9
"""Share by which the radius stays below the distance that would make one ball too many impure."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the batch, greedily."""
    order = by_id(pool)
    if not len(order) or num < 1:
        return []
    points_ND, settings = ordered(embeddings(pool), order), context.settings
    rows = sample(len(order), max(num, settings.sample), derive_seed(context.seed, "probcover"))
    points_ND, order = points_ND[rows], order[rows]
    require_memory(context, "the clustering of `probcover`", 3 * 8e-9 * points_ND.size)
    num_classes = max(2, pool.mean_probs_NC.shape[1])
    radius = settings.radius or pure_radius(points_ND, kmeans(points_ND, num_classes, context.seed), settings.purity)
    picks = []
    choose = chooser([pool.item_ids[index] for index in order], context.seed)
    for position, (row, gain) in enumerate(greedy(points_ND, labeled_embeddings(pool), radius, num, choose), 1):
        what = f"covers {gain} more of {len(order)} items" if gain else "far from all, where everything is covered"
        picks.append(Pick(int(order[row]), float(gain), f"{what} within distance {radius:.3g}, pick {position}"))
    return picks


def pure_radius(points_ND: Float32Array, clusters_N: NDArray[np.int64], purity: float) -> float:
    """Return the largest distance within which that share of the items meets only its own cluster; 0 for one cluster.

    Args:
        points_ND: The pool.
        clusters_N: Its clusters.
        purity: Share of pure balls.
    """
    if clusters_N.max() == 0:
        return 0.0
    points, nearest_N = Points(points_ND), np.empty(len(points_ND))
    blocks = points.blocks(len(points))
    for rows in track(blocks, "choosing the radius", points.num_blocks(len(points))):
        is_own_BN = clusters_N[rows, None] == clusters_N[None]
        nearest_N[rows] = np.where(is_own_BN, np.inf, points.squared(rows)).min(axis=1)
    num_impure = math.floor(round((1.0 - purity) * len(nearest_N), 9))
    # A ball is pure while its radius is below this distance, by more than rounding can hide.
    return float(np.sqrt(np.sort(nearest_N)[num_impure])) * (1.0 - ROUNDING)


def greedy(
    points_ND: Float32Array, labeled_LD: Float32Array, radius: float, num: int, choose: Choose = first
) -> list[tuple[int, int]]:
    """Return up to ``num`` rows, each with the number of items that it covers and no earlier centre does.

    Args:
        points_ND: The pool, in the order in which equal items go; N at least 1.
        labeled_LD: The labelled items: what they cover is covered from the start.
        radius: δ.
        num: How many to pick.
        choose: Chooses among equal rows.
    """
    cover = _Cover(points_ND, labeled_LD, radius, choose)
    chosen = []
    for _ in range(min(num, len(points_ND))):
        row, gain = cover.best()
        chosen.append((row, gain))
        cover.add(row)
    return chosen


class _Cover:
    """What is covered, and what each item would add.

    Args:
        points_ND: The pool.
        labeled_LD: The first centres.
        radius: δ.
        choose: Chooses among equal rows.
    """

    def __init__(
        self, points_ND: Float32Array, labeled_LD: Float32Array, radius: float, choose: Choose = first
    ) -> None:
        self._choose = choose
        self._points = Points(points_ND)
        self._limit = radius**2
        self._free_N = np.ones(len(points_ND), dtype=np.bool_)
        self._nearest_N = np.full(len(points_ND), np.inf)
        labeled = Points(labeled_LD, self._points.middle_D)
        for rows in labeled.blocks(len(points_ND)):
            self._nearest_N = np.minimum(self._nearest_N, labeled.squared(rows, self._points).min(axis=0))
        self._gain_N = np.zeros(len(points_ND), dtype=np.int64)
        self._count(np.flatnonzero(self._nearest_N > self._limit), 1)

    def best(self) -> tuple[int, int]:
        """Return the free item that covers most, and how many; the farthest one if none covers anything new."""
        values_N = np.where(self._free_N, self._gain_N, -1)
        if values_N.max() == 0:
            values_N = np.where(self._free_N, self._nearest_N, -1.0)
        row = self._choose(np.flatnonzero(values_N == values_N.max()))
        return row, int(self._gain_N[row])

    def add(self, row: int) -> None:
        """Make an item a centre."""
        squared_N = self._points.squared(np.array([row]))[0]
        newly = np.flatnonzero((squared_N <= self._limit) & (self._nearest_N > self._limit))
        self._free_N[row] = False
        self._nearest_N = np.minimum(self._nearest_N, squared_N)
        self._count(newly, -1)

    def _count(self, rows: NDArray[np.int64], sign: int) -> None:
        """Add to (or take from) every item's count those of the rows that lie in its ball."""
        size = max(1, BLOCK_NUMBERS // len(self._points))
        for begin in range(0, len(rows), size):
            block = rows[begin : begin + size]
            self._gain_N += sign * (self._points.squared(block) <= self._limit).sum(axis=0)


STRATEGY = Strategy(
    "probcover",
    "number of items newly covered within a radius: greedy cover of the pool, for cold start",
    select,
    needs=frozenset({EMBEDDINGS}),
    settings=ProbcoverConfig,
)
