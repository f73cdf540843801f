"""Every point's distance to its nearest centre, kept only as exactly as the next pick needs it.

A distance to the nearest of some centres is an upper bound of the distance to the nearest of more centres. So a point
is compared with new centres only when its bound is among the largest (lazy greedy, Minoux 1978): of N × M distances,
few are computed, and the picks are the same. Points near the top are kept apart and up to date, the hot ones; the
others are brought up to date many at a time, by blocked products.

Rounding does not decide: items within its reach of the largest distance are compared in float64, and an item as near to
a centre as rounding can tell is a copy of it, at distance 0.

The points are read in blocks and never copied whole: they may be a memory-mapped file larger than memory.
Letters: N points, D features, M centres, B points of a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.strategy import Float32Array, FloatArray
from activelora.acquisition.ties import Choose, first

Rows = NDArray[np.int64]
CENTER_BLOCK = 64
"""Centres that points are compared with at once."""
BLOCK_NUMBERS = 4_000_000
"""Float32 numbers in a block of points: 16 MB."""
HOT_LEAST, HOT_MOST, HOT_SHARE = 1024, 16_384, 64
"""Hot points: the pool's size divided by HOT_SHARE, within these bounds. More cost time at every pick, fewer at the
changes between them."""
ROUNDING = 4e-6
"""Share of the squared norms by which a squared distance in float32 can be off."""


class Cover:
    """The points' squared distances to their nearest centres.

    Args:
        points_ND: The points; N at least 1.
        centers_MD: The first centres; M may be 0.
        hot: How many points are kept up to date; None chooses by N.
        choose: Chooses among points that are equally far.
    """

    def __init__(
        self, points_ND: Float32Array, centers_MD: Float32Array, hot: int | None = None, choose: Choose = first
    ) -> None:
        self._choose = choose
        num, self._num_features = points_ND.shape
        self._source_ND = points_ND
        self._num_hot = hot or min(max(num // HOT_SHARE, HOT_LEAST), HOT_MOST)
        # Distances do not change with the origin, and near the points' middle float32 is most precise.
        self._mean_D = _mean(points_ND)
        self._middle_D = self._mean_D.astype(np.float32)
        self._norms_N = np.empty(num)
        self._bounds_N = np.full(num, np.inf, dtype=np.float32)
        self._seen_N = np.zeros(num, dtype=np.int32)
        self._free_N = np.ones(num, dtype=np.bool_)
        self._centers = _Growing(self._num_features)
        self._centers.extend(centers_MD - self._middle_D)
        self._exact_centers = _Growing(self._num_features)
        self._exact_centers.extend(centers_MD)
        self._hot: Rows = np.empty(0, dtype=np.int64)
        self._hot_points_BD = np.empty((0, self._num_features), dtype=np.float32)
        self._measure_all()

    def farthest(self) -> tuple[int, float]:
        """Return the free point farthest from all centres, and its distance; chosen among those if there are several.

        While there is no centre: the point nearest to the points' mean, and its distance to that.
        """
        if not len(self._centers):
            rows = np.flatnonzero(self._norms_N <= self._norms_N.min() + self._slack)
            exact = self._exact(rows, self._mean_D[None])
            nearest = exact.min()
            return self._choose(rows[exact == nearest]), float(np.sqrt(nearest))
        highest = self._settle()
        if highest == 0.0:
            return self._choose(np.flatnonzero(self._free_N & (self._bounds_N == 0.0))), 0.0
        rows = np.flatnonzero(self._free_N & (self._bounds_N >= highest - self._slack))
        exact = self._exact(rows, self._exact_centers.between(0)[0])
        farthest = exact.max()
        return self._choose(rows[exact == farthest]), float(np.sqrt(farthest))

    def add(self, row: int) -> None:
        """Make a point a centre."""
        self._free_N[row] = False
        is_first = not len(self._centers)
        self._centers.extend(self._points(np.array([row])))
        self._exact_centers.extend(self._source_ND[row : row + 1])
        if is_first:
            self._measure_all()
        elif len(self._hot):
            squared_B = self._squared(self._hot_points_BD, self._norms_N[self._hot], len(self._centers) - 1)
            self._lower(self._hot, squared_B)

    @property
    def num_distances(self) -> int:
        """Distances computed so far: at most N × M."""
        return int(self._seen_N.sum())

    @property
    def _slack(self) -> float:
        return 4.0 * ROUNDING * max(float(self._norms_N.max()), self._centers.largest_norm)

    def _settle(self) -> float:
        """Bring points up to date until none can be farther than the farthest of those that are; return its bound."""
        num = len(self._centers)
        while True:
            is_current_N = self._free_N & (self._seen_N == num)
            highest = float(self._bounds_N[is_current_N].max(initial=0.0))
            is_open_N = self._free_N & (self._seen_N < num) & (self._bounds_N >= highest - self._slack)
            if not (rows := np.flatnonzero(is_open_N)).size:
                return highest
            if len(rows) > self._num_hot:
                rows = rows[np.argpartition(-self._bounds_N[rows], self._num_hot)[: self._num_hot]]
            self._update(np.sort(rows), highest - self._slack)
            self._choose_hot()

    def _choose_hot(self) -> None:
        """Keep the farthest of the points that are up to date at hand."""
        rows = np.flatnonzero(self._free_N & (self._seen_N == len(self._centers)))
        if len(rows) > self._num_hot:
            rows = np.sort(rows[np.argpartition(-self._bounds_N[rows], self._num_hot)[: self._num_hot]])
        # A point that was hot before need not be read again.
        hot_rows = np.searchsorted(self._hot, rows)
        hot_rows[hot_rows == len(self._hot)] = 0
        is_here = self._hot[hot_rows] == rows if len(self._hot) else np.zeros(len(rows), dtype=np.bool_)
        points_BD = np.empty((len(rows), self._num_features), dtype=np.float32)
        points_BD[is_here] = self._hot_points_BD[hot_rows[is_here]]
        points_BD[~is_here] = self._points(rows[~is_here])
        self._hot, self._hot_points_BD = rows, points_BD

    def _update(self, rows: Rows, lowest: float) -> None:
        """Compare points with the centres that they have not met, as long as they stay above a bound."""
        for block in _blocks(len(rows), max(1, BLOCK_NUMBERS // self._num_features)):
            left = rows[block]
            points_BD = self._points(left)
            begin = int(self._seen_N[left].min())
            while begin < len(self._centers) and len(left):
                end = min(begin + CENTER_BLOCK, len(self._centers))
                meets = self._seen_N[left] < end
                self._lower(left[meets], self._squared(points_BD[meets], self._norms_N[left[meets]], begin, end), end)
                begin, stays = end, self._bounds_N[left] >= lowest
                left, points_BD = left[stays], points_BD[stays]

    def _measure_all(self) -> None:
        """Fill in norms, and compare all points with the first centres."""
        end = min(CENTER_BLOCK, len(self._centers))
        for block in _blocks(len(self._source_ND), max(1, BLOCK_NUMBERS // self._num_features)):
            rows = np.arange(block.start, block.stop)
            points_BD = self._source_ND[block] - self._middle_D
            self._norms_N[block] = _squared_norms(points_BD)
            if end:
                self._lower(rows, self._squared(points_BD, self._norms_N[block], 0, end), end)

    def _points(self, rows: Rows) -> Float32Array:
        return self._source_ND[rows] - self._middle_D

    def _squared(
        self, points_BD: Float32Array, norms_B: FloatArray, begin: int, end: int | None = None
    ) -> Float32Array:
        """Return squared distances to the nearest of some of the centres."""
        centers_MD, norms_M = self._centers.between(begin, end)
        sums_BM = norms_B[:, None] + norms_M[None]
        # The product's kernel may look at the rows that are not used yet: whatever it finds there is no error of ours.
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            squared_BM = sums_BM - 2.0 * (points_BD @ centers_MD.T)
        squared_BM[squared_BM <= ROUNDING * sums_BM] = 0.0
        return np.asarray(squared_BM.min(axis=1), dtype=np.float32)

    def _lower(self, rows: Rows, squared_B: Float32Array, seen: int | None = None) -> None:
        self._bounds_N[rows] = np.minimum(self._bounds_N[rows], squared_B)
        self._seen_N[rows] = np.maximum(self._seen_N[rows], len(self._centers) if seen is None else seen)

    def _exact(self, rows: Rows, centers_MD: Float32Array | FloatArray) -> FloatArray:
        """Return squared distances to the nearest centre in float64, from the points as they were given."""
        centers_MD = centers_MD.astype(np.float64)
        points = (self._source_ND[row].astype(np.float64) for row in rows)
        return np.array([((centers_MD - point_D) ** 2).sum(axis=1).min() for point_D in points])


class _Growing:
    """The centres, in an array that has room for more."""

    def __init__(self, num_features: int) -> None:
        self._centers_MD = np.zeros((CENTER_BLOCK, num_features), dtype=np.float32)
        self._norms_M = np.zeros(CENTER_BLOCK)
        self._num = 0
        self.largest_norm = 0.0

    def __len__(self) -> int:
        return self._num

    def extend(self, centers_MD: Float32Array) -> None:
        needed = self._num + len(centers_MD)
        if needed > len(self._norms_M):
            self._centers_MD = _longer(self._centers_MD, 2 * needed)
            self._norms_M = _longer(self._norms_M, 2 * needed)
        self._centers_MD[self._num : needed] = centers_MD
        self._norms_M[self._num : needed] = _squared_norms(centers_MD)
        self.largest_norm = max(self.largest_norm, float(self._norms_M[self._num : needed].max(initial=0.0)))
        self._num = needed

    def between(self, begin: int, end: int | None = None) -> tuple[Float32Array, FloatArray]:
        rows = slice(begin, self._num if end is None else end)
        return self._centers_MD[rows], self._norms_M[rows]


def _longer(array: NDArray[Any], size: int) -> NDArray[Any]:
    longer = np.zeros((size, *array.shape[1:]), dtype=array.dtype)
    longer[: len(array)] = array
    return longer


def _blocks(num: int, size: int) -> Iterator[slice]:
    for begin in range(0, num, size):
        yield slice(begin, min(begin + size, num))


def _mean(points_ND: Float32Array) -> FloatArray:
    total_D = np.zeros(points_ND.shape[1])
    for block in _blocks(len(points_ND), max(1, BLOCK_NUMBERS // points_ND.shape[1])):
        total_D += points_ND[block].sum(axis=0, dtype=np.float64)
    return total_D / len(points_ND)


def _squared_norms(points_ND: Float32Array) -> FloatArray:
    norms_N: FloatArray = np.einsum("nd,nd->n", points_ND, points_ND, dtype=np.float64)
    return norms_N
