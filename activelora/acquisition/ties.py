"""Ties: of equal scores, the item goes first that the round's seeded draw puts first, wherever it lies in the pool.

By item id, or by place, every round and every campaign on a pool would prefer the same of equal items. The draw
depends on seed and item id alone (:func:`activelora.seeding.item_draw`), so that neither order nor sharding of the pool
matters. Letters: N items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from activelora.seeding import item_draw


def ranking(scores_N: NDArray[np.float64], item_ids: Sequence[str], seed: int | None) -> NDArray[np.int64]:
    """Return all rows, the highest score first.

    Args:
        scores_N: What to rank by; numbers all.
        item_ids: N different ids.
        seed: Seed of the draw among equal scores; None lets them go by item id.
    """
    order = np.argsort(-scores_N, kind="stable")
    ordered_N = scores_N[order]
    begins = np.flatnonzero(np.r_[True, ordered_N[1:] != ordered_N[:-1]]) if len(order) else order
    ends = np.r_[begins[1:], len(order)] if len(order) else order
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        if end - begin > 1:  # others need no draw
            order[begin:end] = drawn(order[begin:end], item_ids, seed)
    return order


def drawn(rows: NDArray[np.int64], item_ids: Sequence[str], seed: int | None) -> NDArray[np.int64]:
    """Return rows in the order of their items' draws."""
    keys = {row: (0.0 if seed is None else item_draw(seed, item_ids[row]), item_ids[row]) for row in rows.tolist()}
    return np.array(sorted(keys, key=keys.__getitem__), dtype=np.int64)


Choose = Callable[[NDArray[np.int64]], int]
"""Rows of equal items, in ascending order → the one to take."""


def first(rows: NDArray[np.int64]) -> int:
    """Return the first row."""
    return int(rows[0])


def chooser(item_ids: Sequence[str], seed: int) -> Choose:
    """Return what chooses among equal rows by the seeded draw.

    Args:
        item_ids: The rows' ids.
        seed: Seed of the draw.
    """

    def choose(rows: NDArray[np.int64]) -> int:
        return first(rows) if len(rows) == 1 else int(drawn(rows, item_ids, seed)[0])

    return choose
