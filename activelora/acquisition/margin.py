"""Margin: the items whose two best answers are closest.

score = −(p̄₁ − p̄₂), the two largest of the mean over the samples (Scheffer et al. 2001).
Letters: N unlabelled items, C answers, K samples.
"""

from __future__ import annotations

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import measure, top


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking."""
    scores_N = measure(pool, "margin")
    return top(
        pool, scores_N, num, lambda index: f"its two best answers are {-scores_N[index]:.3f} apart", seed=context.seed
    )


STRATEGY = Strategy("margin", "−(p̄₁ − p̄₂): the two best answers are closest", select, measures=("margin",))
