"""Euclidean distances between embeddings, in float64 and in blocks of bounded memory.

Letters: N points, M other points, D features, B points of a block.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.strategy import Float32Array, FloatArray

BLOCK_NUMBERS = 4_000_000
"""Float64 numbers in a block of distances: 32 MB."""
ROUNDING = 1e-12
"""Share of the squared norms by which a squared distance can be off: nearer points are copies, at distance 0."""


class Points:
    """Points whose distances are wanted.

    Args:
        points_ND: The points. They are moved so that their mean is the origin: distances stay, and rounding shrinks.
        middle_D: What to move by instead of their mean, so that two sets can be compared.
    """

    def __init__(self, points_ND: Float32Array, middle_D: FloatArray | None = None) -> None:
        wide_ND = points_ND.astype(np.float64)
        self.middle_D: FloatArray = wide_ND.mean(axis=0) if middle_D is None else middle_D
        self.points_ND: FloatArray = wide_ND - self.middle_D
        self.norms_N: FloatArray = np.einsum("nd,nd->n", self.points_ND, self.points_ND)

    def __len__(self) -> int:
        return len(self.points_ND)

    def squared(self, rows: slice | NDArray[np.int64], others: Points | None = None) -> FloatArray:
        """Return squared distances of some of the points to all others (by default to these points), (B, M)."""
        others = self if others is None else others
        sums_BM = self.norms_N[rows, None] + others.norms_N[None]
        squared_BM: FloatArray = sums_BM - 2.0 * (self.points_ND[rows] @ others.points_ND.T)
        squared_BM[squared_BM <= ROUNDING * sums_BM] = 0.0
        return squared_BM

    def blocks(self, num_others: int) -> Iterator[slice]:
        """Yield slices of the points whose distances to that many others fit into a block."""
        size = max(1, BLOCK_NUMBERS // max(1, num_others))
        for begin in range(0, len(self), size):
            yield slice(begin, min(begin + size, len(self)))

    def num_blocks(self, num_others: int) -> int:
        """Return how many slices :meth:`blocks` yields."""
        return -(-len(self) // max(1, BLOCK_NUMBERS // max(1, num_others)))
