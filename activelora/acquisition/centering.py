"""Embeddings about their mean, block by block: they may lie in a file.

Hidden states of a language model have a large part in common, whatever the text, which brings all cosines near to 1.
Letters: N items, D features, B items of a block.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from activelora.acquisition.spill import blocks
from activelora.acquisition.strategy import Float32Array, FloatArray

ROUNDING = 1e-6
"""Share of the mean's length below which what is left of an embedding is rounding."""


def middle(parts: Sequence[Float32Array]) -> FloatArray | None:
    """Return the mean of the rows of all parts, in float64, shape (D,); None if there is no row."""
    num = sum(map(len, parts))
    if not num:
        return None
    with np.errstate(invalid="ignore", over="ignore"):  # strategies refuse what is not finite, and name the item
        sums = (part[rows].sum(axis=0, dtype=np.float64) for part in parts for rows in blocks(part))
        return np.asarray(sum(sums) / num, dtype=np.float64)


def directions(block_BD: Float32Array, middle_D: FloatArray | None = None) -> FloatArray:
    """Return embeddings without their mean, brought to length 1, in float64; 0 where nothing is left.

    Args:
        block_BD: Embeddings of a block.
        middle_D: The mean; None takes off nothing.
    """
    rows_BD = block_BD.astype(np.float64)
    least = 0.0
    if middle_D is not None:
        rows_BD -= middle_D
        least = ROUNDING * float(np.linalg.norm(middle_D))
    norms_B = np.linalg.norm(rows_BD, axis=1)
    scales_B = np.divide(1.0, norms_B, out=np.zeros_like(norms_B), where=norms_B > least)
    return np.asarray(rows_BD * scales_B[:, None], dtype=np.float64)
