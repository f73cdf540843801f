"""Random: the control that every other strategy has to beat.

A uniform draw without replacement: the smallest of independent uniform numbers, one an item, that depend on seed and
item id alone. The same draw therefore comes out of any order or sharding of the pool.
"""

from __future__ import annotations

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.seeding import item_draw


def draw(item_ids: tuple[str, ...], num: int, seed: int) -> list[int]:
    """Return the indices of ``num`` items drawn at random, or of all if there are fewer."""
    numbers = [item_draw(seed, item_id) for item_id in item_ids]
    return sorted(range(len(item_ids)), key=lambda index: (numbers[index], item_ids[index]))[:num]


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Draw the batch at random."""
    size = len(pool.item_ids)
    return [Pick(index, None, f"drawn at random from {size}") for index in draw(pool.item_ids, num, context.seed)]


STRATEGY = Strategy("random", "drawn at random: the control", select, needs_scores=False)
