"""Core-set: the batch that leaves no item far from a labelled one (Sener and Savarese 2018, arXiv 1708.00489).

k-center greedy, exactly: the next pick is argmax_i min_c ‖h_i − h_c‖ over the centres c, which are the labelled items
and the picks so far; h are embeddings. score = that distance. Equal distances go by the seeded draw. With no labels
the first pick is the item nearest to the mean, and its score is its distance to the mean.

The picks are those of the plain algorithm; :mod:`activelora.acquisition.cover` says why few distances are needed.
Letters: N unlabelled items, D features, L labelled items.
"""

from __future__ import annotations

from activelora.acquisition.checked import by_id, embeddings, labeled_embeddings, ordered
from activelora.acquisition.cover import Cover
from activelora.acquisition.strategy import (
    EMBEDDINGS,
    Float32Array,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)
from activelora.acquisition.ties import Choose, chooser, first


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the batch, greedily."""
    order = by_id(pool)
    if not len(order):
        return []
    choose = chooser([pool.item_ids[index] for index in order], context.seed)
    chosen = greedy(ordered(embeddings(pool), order), labeled_embeddings(pool), num, choose)
    num_labeled = 0 if pool.labeled_embeddings_LD is None else len(pool.labeled_embeddings_LD)
    picks = []
    for position, (row, distance) in enumerate(chosen, 1):
        what = "the nearest labelled or picked item" if position > 1 or num_labeled else "the middle of the pool"
        picks.append(Pick(int(order[row]), distance, f"at distance {distance:.3f} from {what}, pick {position}"))
    return picks


def greedy(
    points_ND: Float32Array, centers_LD: Float32Array, num: int, choose: Choose = first
) -> list[tuple[int, float]]:
    """Return up to ``num`` rows, each with its distance to the nearest centre when it was picked.

    Args:
        points_ND: The pool, in the order in which equal items go; N at least 1.
        centers_LD: The labelled items.
        num: How many to pick.
        choose: Chooses among equal rows.
    """
    cover = Cover(points_ND, centers_LD, choose=choose)
    chosen = []
    for _ in range(min(num, len(points_ND))):
        row, distance = cover.farthest()
        chosen.append((row, distance))
        cover.add(row)
    return chosen


STRATEGY = Strategy(
    "core_set",
    "argmax min_c ‖h − h_c‖: no item stays far from a labelled one (k-center greedy)",
    select,
    needs=frozenset({EMBEDDINGS}),
)
