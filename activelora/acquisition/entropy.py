"""Entropy: the items whose predictive distribution is broadest.

score = H[p̄] = −Σ_c p̄_c ln p̄_c in nats, p̄ the mean over the samples (Settles 2009).
Letters: N unlabelled items, C answers, K samples.
"""

from __future__ import annotations

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import measure, top


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking."""
    scores_N = measure(pool, "predictive_entropy")
    return top(pool, scores_N, num, lambda index: f"entropy {scores_N[index]:.2f} nats", seed=context.seed)


STRATEGY = Strategy(
    "entropy", "H[p̄]: predictive entropy, the total uncertainty", select, measures=("predictive_entropy",)
)
