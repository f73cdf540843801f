"""Uncertainty: the top by whichever measure the campaign file names.

score = the measure under the current model (``activelora list measures``).
Letters: N unlabelled items.
"""

from __future__ import annotations

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import measure, top


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking."""
    name = context.config.measure
    scores_N = measure(pool, name)
    return top(pool, scores_N, num, lambda index: f"{name.replace('_', ' ')} {scores_N[index]:.3g}", seed=context.seed)


STRATEGY = Strategy("uncertainty", "the top by acquisition.measure", select, options=("measure",))
