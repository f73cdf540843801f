"""Expected entropy: the items about which each sample is unsure.

score = mean_k H[p_k] in nats. It is the aleatoric part: a contrast to BALD rather than a strategy to win with.
Letters: N unlabelled items, C answers, K samples.
"""

from __future__ import annotations

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import measure, top


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking."""
    scores_N = measure(pool, "expected_entropy")
    return top(pool, scores_N, num, lambda index: f"expected entropy {scores_N[index]:.2f} nats", seed=context.seed)


STRATEGY = Strategy("expected_entropy", "mean_k H[p_k]: each sample is unsure", select, measures=("expected_entropy",))
