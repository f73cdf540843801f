"""Core-set: the batch that leaves no item far from a labelled one (Sener and Savarese 2018, arXiv 1708.00489).

k-center greedy, exactly: the next pick is argmax_i min_c ‖h_i − h_c‖ over the centres c, which are the labelled items
and the picks so far; h are embeddings. score = that distance. Equal distances go by item id. With no labels the first
pick is the item nearest to the mean, and its score is its distance to the mean.

Distances are kept and only lowered: a pick costs one float32 product of the pool with one vector. Rounding does not
decide: items within its reach of the largest distance are compared in float64, and an item as near to a centre as
rounding can tell is a copy of it, at distance 0.
Letters: N unlabelled items, D features, L labelled items, M centres.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.kept import by_id, embeddings, labeled_embeddings
from activelora.acquisition.strategy import (
    EMBEDDINGS,
    Float32Array,
    FloatArray,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)

CENTER_BLOCK = 64
"""Centres whose distances to the pool are held at once."""
ROUNDING = 4e-6
"""Share of the squared norms by which a squared distance in float32 can be off."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the batch, greedily."""
    order = by_id(pool)
    if not len(order):
        return []
    chosen = greedy(embeddings(pool)[order], labeled_embeddings(pool), num)
    num_labeled = 0 if pool.labeled_embeddings_LD is None else len(pool.labeled_embeddings_LD)
    picks = []
    for position, (row, distance) in enumerate(chosen, 1):
        what = "the nearest labelled or picked item" if position > 1 or num_labeled else "the middle of the pool"
        picks.append(Pick(int(order[row]), distance, f"at distance {distance:.3f} from {what}, pick {position}"))
    return picks


def greedy(points_ND: Float32Array, centers_LD: Float32Array, num: int) -> list[tuple[int, float]]:
    """Return up to ``num`` rows, each with its distance to the nearest centre when it was picked.

    Args:
        points_ND: The pool, in the order in which equal items go; N at least 1.
        centers_LD: The labelled items.
        num: How many to pick.
    """
    cover = _Cover(points_ND, centers_LD)
    chosen = []
    for _ in range(min(num, len(points_ND))):
        row, distance = cover.farthest()
        chosen.append((row, distance))
        cover.add(row)
    return chosen


class _Cover:
    """Every point's distance to its nearest centre.

    Args:
        points_ND: The points.
        centers_LD: The first centres.
    """

    def __init__(self, points_ND: Float32Array, centers_LD: Float32Array) -> None:
        # Distances do not change with the origin, and near the points' middle float32 is most precise.
        self._middle_D = points_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._points_ND = points_ND - self._middle_D
        self._norms_N = _squared_norms(self._points_ND)
        self._free_N = np.ones(len(points_ND), dtype=np.bool_)
        self._squared_N = np.full(len(points_ND), np.inf, dtype=np.float32)
        self._centers: list[Float32Array] = []
        moved_LD = centers_LD - self._middle_D
        for begin in range(0, len(moved_LD), CENTER_BLOCK):
            self._lower(moved_LD[begin : begin + CENTER_BLOCK])

    def farthest(self) -> tuple[int, float]:
        """Return the free point farthest from all centres, and its distance; the first point if there are several."""
        if not self._centers:
            row = int(self._norms_N.argmin())
            return row, float(np.sqrt(self._norms_N[row]))
        squared_N = np.where(self._free_N, self._squared_N, -1.0)
        highest = float(squared_N.max())
        if highest == 0.0:
            return int(squared_N.argmax()), 0.0
        rows = np.flatnonzero(squared_N >= highest - 4 * self._reach)
        exact = self._exact(rows)
        best = int(exact.argmax())
        return int(rows[best]), float(np.sqrt(exact[best]))

    def add(self, row: int) -> None:
        """Make a point a centre."""
        self._free_N[row] = False
        self._lower(self._points_ND[row : row + 1])

    def _lower(self, centers_MD: Float32Array) -> None:
        self._centers.append(centers_MD)
        norms_M = _squared_norms(centers_MD)
        sums_NM = self._norms_N[:, None] + norms_M[None]
        squared_NM = sums_NM - 2.0 * (self._points_ND @ centers_MD.T)
        squared_NM[squared_NM <= ROUNDING * sums_NM] = 0.0
        self._squared_N = np.minimum(self._squared_N, squared_NM.min(axis=1).astype(np.float32))
        self._reach = ROUNDING * max(float(self._norms_N.max()), *(float(norm) for norm in norms_M))

    def _exact(self, rows: NDArray[np.int64]) -> FloatArray:
        """Return squared distances to the nearest centre in float64."""
        centers_MD = np.concatenate(self._centers).astype(np.float64)
        points = (self._points_ND[row].astype(np.float64) for row in rows)
        return np.array([((centers_MD - point_D) ** 2).sum(axis=1).min() for point_D in points])


def _squared_norms(points_ND: Float32Array) -> FloatArray:
    norms_N: FloatArray = np.einsum("nd,nd->n", points_ND, points_ND, dtype=np.float64)
    return norms_N


STRATEGY = Strategy(
    "core_set",
    "argmax min_c ‖h − h_c‖: no item stays far from a labelled one (k-center greedy)",
    select,
    needs=frozenset({EMBEDDINGS}),
)
