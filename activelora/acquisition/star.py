"""STAR: uncertain to the base model in early rounds, to the adapter in late ones (arXiv 2403.01165).

score = λ·û_b + (1−λ)·û_f, λ = 1 − round/R: see :mod:`activelora.uncertainty.dynamic`.
Letters: N unlabelled items.
"""

from __future__ import annotations

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import base_measure, measure, top
from activelora.config.acquisition import StarConfig
from activelora.uncertainty.dynamic import SCALINGS, base_share, dynamic_uncertainty


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking by dynamic uncertainty."""
    name, scaling = context.config.measure, context.settings.scaling
    share = base_share(context.round, context.num_rounds)
    base_N, tuned_N = base_measure(pool, name), measure(pool, name)
    scores_N = dynamic_uncertainty(base_N, tuned_N, share, scaling)
    scaled_base_N, scaled_tuned_N = SCALINGS[scaling](base_N), SCALINGS[scaling](tuned_N)

    def describe(index: int) -> str:
        parts = [f"base {scaled_base_N[index]:.2f} × {share:.2f}"] * (share > 0)
        parts += [f"adapter {scaled_tuned_N[index]:.2f} × {1 - share:.2f}"] * (share < 1)
        return f"dynamic uncertainty {scores_N[index]:.2f} ({' + '.join(parts)})"

    return top(pool, scores_N, num, describe, seed=context.seed)


STRATEGY = Strategy(
    "star",
    "λ·û_base + (1−λ)·û_adapter, λ falling from 1: STAR's dynamic uncertainty",
    select,
    options=("measure",),
    settings=StarConfig,
    reads_base=True,
    compares_samples=True,
    details=lambda context: {"lambda": base_share(context.round, context.num_rounds)},
)
