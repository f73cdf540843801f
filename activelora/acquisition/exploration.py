"""Exploration: a share of the batch is drawn at random, whatever the strategy prefers.

Its labels estimate the pool's accuracy without bias, and tell whether the strategy beats random: see
:mod:`activelora.evaluation.exploration_check`.
"""

from __future__ import annotations

import math

from activelora.acquisition.class_floor import raise_to_floor
from activelora.acquisition.random import draw
from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.errors import ActiveLoRAError
from activelora.seeding import derive_seed

REASON = "drawn at random (exploration): an unbiased check on the strategy"


def num_exploration(num: int, share: float) -> int:
    """Return how many of ``num`` picks are drawn at random: the share, rounded half up."""
    return min(num, math.floor(share * num + 0.5))


def select(strategy: Strategy, pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return a batch of the strategy's picks and random ones, spread evenly among them.

    The random ones are drawn first and from the whole pool: otherwise they would not stand for it. They are spread so
    that a batch that is labelled from the top, and only partly, still holds its share of them.

    Args:
        strategy: Picks the rest.
        pool: The unlabelled items.
        num: How many to pick; all, if the pool is smaller.
        context: The share is in its configuration, and the floor that :func:`raise_to_floor` sees to.

    Raises:
        ActiveLoRAError: The strategy did not return that many different items.
    """
    num = min(num, len(pool.item_ids))
    num_random = num_exploration(num, context.config.exploration)
    drawn = draw(pool.item_ids, num_random, derive_seed(context.seed, "exploration"))

    def ask(part: ScoredPool, wanted: int) -> list[Pick]:
        picks = strategy.picks(part, wanted, context)
        _check(strategy, picks, wanted, len(part.item_ids))
        return picks

    picks = ask(pool, num)
    batch = [pick for pick in picks if pick.index not in set(drawn)][: num - num_random]
    for number, index in enumerate(drawn):
        batch.insert(math.floor((number + 0.5) * num / num_random), Pick(index, None, REASON))
    return raise_to_floor(ask, pool, batch, drawn, context.config.per_class_floor)


def _check(strategy: Strategy, picks: list[Pick], num: int, size: int) -> None:
    different = {pick.index for pick in picks if 0 <= pick.index < size}
    if not len(different) == len(picks) == num:
        raise ActiveLoRAError(
            f"strategy `{strategy.name}` returned {len(picks)} picks, {len(different)} of them different items of "
            f"the pool, where {num} were asked for",
            remedy="Fix the package that brings the strategy, or choose another one.",
        )
