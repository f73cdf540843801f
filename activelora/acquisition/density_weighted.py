"""Density-weighted: items that are uncertain and like many others, not outliers (Settles and Craven 2008).

score = u_i · (mean_j sim(h_i, h_j))^β, u an uncertainty measure, h embeddings, the mean over the whole pool (also
Settles 2009, section 3.6). sim(h, h') = (1 + cos(h − m, h' − m)) / 2, m the mean of all embeddings, labelled items'
too: from 0 for opposite directions to 1 for the same one, as half of the cosines about a mean are negative, and a
negative weight would turn the ranking round. The mean of the cosines is the product of the item's unit vector with the
mean of all unit vectors: exact in O(N·D), without drawing a part of the pool. About their own mean it is nearly the
same for all items (within 1 to 4 hundredths on real texts), so that β has to be large before density counts much.

Where nothing is taken off (`scoring.embedding: prompt`), sim is the cosine, and a mean below 0 counts as 0. The margin
measure, in [−1, 0], is weighted as 1 + margin, for the same reason.
Letters: N unlabelled items, D features.
"""

from __future__ import annotations

import numpy as np

from activelora.acquisition.centering import directions
from activelora.acquisition.checked import by_id, embeddings, ordered
from activelora.acquisition.spill import blocks
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


def density(embeddings_ND: Float32Array, middle_D: FloatArray | None = None) -> FloatArray:
    """Return every item's mean similarity to the whole pool, itself included; of a length of 0, as at a right angle.

    Args:
        embeddings_ND: The pool.
        middle_D: What is taken off before cosines; None takes off nothing, and similarity is then the cosine.
    """
    if middle_D is None:
        return _mean_cosine(embeddings_ND)
    sum_D, density_N = np.zeros(embeddings_ND.shape[1]), np.empty(len(embeddings_ND))
    for rows in blocks(embeddings_ND):
        sum_D += directions(embeddings_ND[rows], middle_D).sum(axis=0)
    for rows in blocks(embeddings_ND):
        density_N[rows] = (1.0 + directions(embeddings_ND[rows], middle_D) @ (sum_D / len(embeddings_ND))) / 2.0
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
