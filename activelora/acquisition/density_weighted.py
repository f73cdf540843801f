"""Density-weighted: items that are uncertain and like many others, not outliers (Settles and Craven 2008).

score = u_i · (mean_j sim(h_i, h_j))^β, u an uncertainty measure, h embeddings, the mean over the whole pool (also
Settles 2009, section 3.6). sim(h, h') = max(0, cos(h − m, h' − m)), m the mean of all embeddings, labelled items' too:
as the cosines of word counts in the paper, it is 0 for texts that are not alike, and never negative. Without the
maximum, the mean would say nothing: about their own mean, the cosines of a pool add up to nearly 0 for every item. Of a
pool of more than SAMPLE items, that many drawn at random stand for the whole.

Where nothing is taken off (campaigns of older versions), sim is the cosine, and the mean of the cosines the product of
the item's unit vector with the mean of all unit vectors, exact in O(N·D); a mean below 0 counts as 0. The margin
measure, in [−1, 0], is weighted as 1 + margin: a weight must not turn the ranking round.
Letters: N unlabelled items, M items drawn from them, D features, B items of a block.
"""

from __future__ import annotations

import numpy as np

from activelora.acquisition.centering import directions
from activelora.acquisition.checked import by_id, embeddings, ordered
from activelora.acquisition.clusters import sample
from activelora.acquisition.strategy import (
    EMBEDDINGS,
    Float32Array,
    FloatArray,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)
from activelora.acquisition.top import measure, top
from activelora.config.acquisition import DensityWeightedConfig
from activelora.uncertainty.measures import facts_of

SAMPLE = 5000
"""Items that stand for a larger pool: the mean over so many is off by a hundredth or two of itself."""
BLOCK_NUMBERS = 4_000_000
"""Cosines that are in memory at once: 32 MB."""
DECIMALS = 9
"""Densities are rounded, so that equal items are equal whatever the order of a sum."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking by uncertainty × density^β."""
    name, beta = context.config.measure, context.settings.beta
    uncertainty_N = measure(pool, name) - facts_of(name).lowest
    if not len(uncertainty_N):
        return []
    order = by_id(pool)
    density_N = np.empty(len(order))
    density_N[order] = density(ordered(embeddings(pool), order), pool.middle_D)
    scores_N = uncertainty_N * np.maximum(density_N, 0.0) ** beta

    def describe(index: int) -> str:
        parts = f"{name} {uncertainty_N[index]:.2f} × density {density_N[index]:.2f}"
        return f"weighted uncertainty {scores_N[index]:.3f} ({parts}{f'^{beta:g}' * (beta != 1)})"

    return top(pool, scores_N, num, describe, seed=context.seed)


def density(embeddings_ND: Float32Array, middle_D: FloatArray | None = None, most: int = SAMPLE) -> FloatArray:
    """Return every item's mean similarity to the whole pool, itself included; 0 for an embedding of length 0.

    Args:
        embeddings_ND: The pool.
        middle_D: What is taken off before cosines; None takes off nothing.
        most: Items that stand for a larger pool, drawn at random, the same for all; not used without ``middle_D``.
    """
    if middle_D is None:
        return _mean_cosine(embeddings_ND)
    drawn_MD = directions(embeddings_ND[sample(len(embeddings_ND), most, seed=0)], middle_D)
    density_N, size = np.empty(len(embeddings_ND)), max(1, BLOCK_NUMBERS // len(drawn_MD))
    for begin in range(0, len(embeddings_ND), size):
        cosines_BM = directions(embeddings_ND[begin : begin + size], middle_D) @ drawn_MD.T
        density_N[begin : begin + size] = np.maximum(cosines_BM, 0.0).mean(axis=1)
    return np.round(density_N, DECIMALS)


def _mean_cosine(embeddings_ND: Float32Array) -> FloatArray:
    norms_N = np.sqrt(np.einsum("nd,nd->n", embeddings_ND, embeddings_ND, dtype=np.float64))
    scales_N = np.divide(1.0, norms_N, out=np.zeros_like(norms_N), where=norms_N > 0)
    mean_D = np.einsum("nd,n->d", embeddings_ND, scales_N) / len(embeddings_ND)
    density_N: FloatArray = np.einsum("nd,d->n", embeddings_ND, mean_D) * scales_N
    return np.round(density_N, DECIMALS)


STRATEGY = Strategy(
    "density_weighted",
    "u · (mean sim(h, h_j))^β: uncertain, and like many others",
    select,
    options=("measure",),
    needs=frozenset({EMBEDDINGS}),
    settings=DensityWeightedConfig,
)
