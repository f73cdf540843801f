"""BALD: the items about which the samples are sure and disagree.

score = H[p̄] − mean_k H[p_k] in nats, what the label would tell about the weights (Houlsby et al. 2011).
Letters: N unlabelled items, C answers, K samples.
"""

from __future__ import annotations

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import measure, top


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking."""
    scores_N = measure(pool, "bald")
    return top(pool, scores_N, num, lambda index: f"mutual information {scores_N[index]:.3f} nats", seed=context.seed)


STRATEGY = Strategy(
    "bald", "H[p̄] − mean_k H[p_k]: mutual information of answer and weights", select, measures=("bald",)
)
