"""Top share: drawn at random from the most uncertain part of the pool, so that outliers are not all of the batch.

The share of the pool with the highest predictive entropy is kept, and the batch is drawn from it uniformly. Of equal
entropies the smallest item id is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from activelora.acquisition.random import draw
from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import measure
from activelora.config import CampaignConfig, Section
from activelora.config.conflict import Conflict

MEASURE = "predictive_entropy"


class TopShareConfig(Section):
    """For `acquisition.strategy: top_share`."""

    share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.25
    """Share of the pool that the batch is drawn from, but at least one batch."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Draw the batch from the top."""
    settings: TopShareConfig = context.settings
    scores_N = measure(pool, MEASURE)
    ranking = sorted(range(len(scores_N)), key=lambda index: (-scores_N[index], pool.item_ids[index]))
    kept = ranking[: max(num, math.ceil(settings.share * len(ranking)))]
    drawn = draw(tuple(pool.item_ids[index] for index in kept), num, context.seed)
    reason = f"drawn at random from the {len(kept)} most uncertain"
    return [Pick(kept[index], float(scores_N[kept[index]]), reason) for index in drawn]


def conflicts(config: CampaignConfig, settings: TopShareConfig) -> Iterator[Conflict]:
    """Yield a share that chooses nothing."""
    if settings.share == 1.0:
        yield Conflict(
            "acquisition.top_share.share", "the whole pool is no choice", "Lower it, or choose the strategy `random`."
        )


STRATEGY = Strategy(
    name="top_share",
    summary="drawn at random from the top share of the pool by H[p̄]",
    select=select,
    measures=(MEASURE,),
    settings=TopShareConfig,
    conflicts=conflicts,
)
