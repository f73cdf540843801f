"""Variation ratio: the items on whose answer the samples' votes are most divided.

score = 1 − f/K, f the votes for the most voted of K samples (Freeman 1965).
Letters: N unlabelled items, C answers, K samples.
"""

from __future__ import annotations

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import measure, top


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking."""
    scores_N = measure(pool, "variation_ratio")
    what = "of the samples vote against the most voted answer"
    return top(pool, scores_N, num, lambda index: f"{scores_N[index]:.0%} {what}", seed=context.seed)


STRATEGY = Strategy(
    "variation_ratio",
    "1 − f/K: share of samples that vote against the most voted answer",
    select,
    measures=("variation_ratio",),
)
