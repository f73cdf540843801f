"""Variance: the items on whose probabilities the samples differ most.

score = Σ_c Var_k p_kc, the total variance of the samples' distributions (Gal et al. 2017, arXiv 1703.02910, mean
standard deviation, in its squared form).
Letters: N unlabelled items, C answers, K samples.
"""

from __future__ import annotations

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import measure, top


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking."""
    scores_N = measure(pool, "variance")
    return top(
        pool, scores_N, num, lambda index: f"variance between the samples {scores_N[index]:.4f}", seed=context.seed
    )


STRATEGY = Strategy(
    "variance", "Σ_c Var_k p_kc: the samples' probabilities differ most", select, measures=("variance",)
)
