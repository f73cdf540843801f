"""Hybrid: first the most uncertain items, then a strategy that chooses among them.

The top ``prefilter_factor`` × b items by the measure ``prefilter`` are handed to the strategy ``then``, b the batch:
uncertainty keeps the certain items out, the second strategy sees to diversity (as in Zhdanov 2019, arXiv 1901.05954).
Equal scores go by the seeded draw. What the second strategy compares with the pool, it compares with these items only.
Letters: N unlabelled items.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.ties import ranking
from activelora.acquisition.top import measure
from activelora.config.acquisition import HybridConfig
from activelora.config.own_settings import settings_of


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the second strategy's batch from the top by the measure."""
    settings, follower = context.settings, context.follower
    if follower is None:
        raise ValueError("hybrid needs the strategy that it hands over to as context.follower")
    scores_N = measure(pool, settings.prefilter)
    candidates = ranking(scores_N, pool.item_ids, context.seed)[: settings.prefilter_factor * num]
    own = settings_of(follower, context.config, key="acquisition")
    picks = follower.picks(subset(pool, candidates), num, replace(context, follower=None, settings=own))
    return [
        Pick(
            int(candidates[pick.index]),
            pick.score,
            f"{pick.reason}; among the top {len(candidates)} by {settings.prefilter}",
        )
        for pick in picks
    ]


def subset(pool: ScoredPool, indices: NDArray[np.int64]) -> ScoredPool:
    """Return the pool with these items only; labelled items' embeddings stay."""
    return replace(
        pool,
        item_ids=tuple(pool.item_ids[index] for index in indices),
        measures={name: scores_N[indices] for name, scores_N in pool.measures.items()},
        base_measures={name: scores_N[indices] for name, scores_N in pool.base_measures.items()},
        mean_probs_NC=pool.mean_probs_NC[indices],
        log_probs_NKC=None if pool.log_probs_NKC is None else pool.log_probs_NKC[indices],
        embeddings_ND=None if pool.embeddings_ND is None else pool.embeddings_ND[indices],
        features_ND=None if pool.features_ND is None else pool.features_ND[indices],
    )


STRATEGY = Strategy(
    "hybrid",
    "the top m·b by a measure, then another strategy among them",
    select,
    settings=HybridConfig,
    measure_settings=("prefilter",),
    hands_over="then",
)
