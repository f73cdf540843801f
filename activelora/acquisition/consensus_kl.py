"""KL to the consensus: query by committee, the items on which members differ most from their mean.

score = mean_k KL(p_k ‖ p̄) in nats, p̄ the consensus (McCallum and Nigam 1998; Settles 2009, section 3.2). The posterior
samples are the committee, and the score is then BALD's, written in another way: both rank the same.
Letters: N unlabelled items, C answers, K samples.
"""

from __future__ import annotations

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import measure, top


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking."""
    scores_N = measure(pool, "consensus_kl")
    return top(
        pool,
        scores_N,
        num,
        lambda index: f"mean divergence from the consensus {scores_N[index]:.3f} nats",
        seed=context.seed,
    )


STRATEGY = Strategy(
    "consensus_kl",
    "mean_k KL(p_k ‖ p̄): query by committee; with posterior samples the same as bald",
    select,
    measures=("consensus_kl",),
)
