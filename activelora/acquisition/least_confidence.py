"""Least confidence: the items whose best answer the model trusts least.

score = 1 − max_c p̄_c, p̄ the mean over the samples (Lewis and Gale 1994).
Letters: N unlabelled items, C answers, K samples.
"""

from __future__ import annotations

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import measure, top


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking."""
    scores_N = measure(pool, "least_confidence")
    return top(
        pool,
        scores_N,
        num,
        lambda index: f"its best answer has probability {1 - scores_N[index]:.2f}",
        seed=context.seed,
    )


STRATEGY = Strategy(
    "least_confidence", "1 − max p̄: the best answer is trusted least", select, measures=("least_confidence",)
)
