"""CAL: items that the model answers unlike the labelled items most like them (Margatina et al. 2021, arXiv 2109.03764).

score = mean over the k nearest labelled items j of KL(p̄_j ‖ p̄_i) in nats, nearest by the Euclidean distance of
embeddings. The neighbours are labelled items, as the paper's text and algorithm say; small-text searches them among all
points. Equally near ones go by item id. Probabilities below 1e-12 count as 1e-12, so that the divergence is finite.

Before there are labels nothing can be contrasted: the batch is then drawn at random, and its reasons say so.
Letters: N unlabelled items, L labelled items, C answers, D features, B items of a block, k neighbours.
"""

from __future__ import annotations

import numpy as np

from activelora.acquisition.checked import (
    by_id,
    embeddings,
    labeled_embeddings,
    labeled_probabilities,
    ordered,
    probabilities,
    require_memory,
)
from activelora.acquisition.distances import Points
from activelora.acquisition.random import draw
from activelora.acquisition.strategy import (
    EMBEDDINGS,
    Float32Array,
    FloatArray,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)
from activelora.acquisition.top import top
from activelora.config.acquisition import CalConfig

SMALLEST = 1e-12
DECIMALS = 9
"""Scores are rounded to a nanonat, so that equal items are equal whatever the order of a sum."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking; a random draw while nothing is labelled."""
    if not pool.item_ids:
        return []
    points_ND, probs_NC = embeddings(pool), probabilities(pool)
    labeled_LD, labeled_LC = labeled_embeddings(pool), labeled_probabilities(pool)
    if not len(labeled_LD):
        drawn = draw(pool.item_ids, num, context.seed)
        return [Pick(index, None, "drawn at random: there is no labelled item to contrast with yet") for index in drawn]
    require_memory(context, "`cal` in double precision", 2 * 8e-9 * points_ND.size)
    order, scores_N = by_id(pool), np.empty(len(pool.item_ids))
    neighbors = min(context.settings.neighbors, len(labeled_LD))
    scores_N[order] = contrast(ordered(points_ND, order), probs_NC[order], labeled_LD, labeled_LC, neighbors)
    what = f"from the {neighbors} nearest labelled items" if neighbors > 1 else "from the nearest labelled item"
    return top(
        pool,
        scores_N,
        num,
        lambda index: f"its answer diverges by {scores_N[index]:.3f} nats {what}",
        seed=context.seed,
    )


def contrast(
    points_ND: Float32Array, probs_NC: FloatArray, labeled_LD: Float32Array, labeled_LC: FloatArray, neighbors: int
) -> FloatArray:
    """Return scores_N, each item's mean KL(p̄_j ‖ p̄_i) over its nearest labelled items j, in nats.

    Args:
        points_ND: Embeddings of the pool.
        probs_NC: Its distributions.
        labeled_LD: Embeddings of the labelled items; L at least 1.
        labeled_LC: Their distributions.
        neighbors: k, at most L.
    """
    points = Points(points_ND)
    labeled = Points(labeled_LD, points.middle_D)
    log_NC, log_LC = np.log(np.maximum(probs_NC, SMALLEST)), np.log(np.maximum(labeled_LC, SMALLEST))
    negentropy_L: FloatArray = (labeled_LC * log_LC).sum(axis=1)
    scores_N = np.empty(len(points))
    for rows in points.blocks(max(len(labeled), neighbors * probs_NC.shape[1])):
        nearest_Bk = np.argsort(points.squared(rows, labeled), axis=1, kind="stable")[:, :neighbors]
        cross_Bk = np.einsum("bkc,bc->bk", labeled_LC[nearest_Bk], log_NC[rows])
        scores_N[rows] = (negentropy_L[nearest_Bk] - cross_Bk).mean(axis=1)
    return np.asarray(np.round(np.maximum(scores_N, 0.0), DECIMALS), dtype=np.float64)


STRATEGY = Strategy(
    "cal",
    "mean KL(p̄_j ‖ p̄) over the nearest labelled items j: answered unlike its labelled neighbours",
    select,
    needs=frozenset({EMBEDDINGS}),
    needs_answers=True,
    settings=CalConfig,
)
