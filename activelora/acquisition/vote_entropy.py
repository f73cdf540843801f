"""Vote entropy: query by committee, the items on which the members' votes are spread most evenly.

score = −Σ_c v_c ln v_c in nats, v_c the share of the K members that vote for answer c (Dagan and Engelson 1995; Seung
et al. 1992 for the committee). The posterior samples are the committee.
Letters: N unlabelled items, C answers, K samples.
"""

from __future__ import annotations

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import measure, top


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking."""
    scores_N = measure(pool, "vote_entropy")
    return top(
        pool,
        scores_N,
        num,
        lambda index: f"entropy of the committee's votes {scores_N[index]:.2f} nats",
        seed=context.seed,
    )


STRATEGY = Strategy(
    "vote_entropy",
    "H[votes]: query by committee, the samples' votes are spread most evenly",
    select,
    measures=("vote_entropy",),
)
