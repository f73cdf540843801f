"""Discriminative: items that a classifier takes for unlabelled (Gissin and Shalev-Shwartz 2019, arXiv 1907.06347).

A classifier learns to tell the labelled items from the unlabelled ones by their embeddings; score = the probability
that an item is unlabelled. The batch is picked in sub-batches: the items picked so far count as labelled in the next
one, which makes the batch diverse. Within a sub-batch a copy of a pick comes only if nothing else is left. Equal
scores go by the seeded draw.

The classifier is logistic regression on standardised embeddings with balanced classes (scikit-learn; the paper uses a
small network). Before there are labels, the first item is the one nearest to the mean, as in core-set.
Letters: N unlabelled items, L labelled items, D features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.checked import by_id, embeddings, labeled_embeddings, ordered, require_memory
from activelora.acquisition.strategy import (
    EMBEDDINGS,
    FloatArray,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)
from activelora.acquisition.ties import chooser
from activelora.config.acquisition import DiscriminativeConfig

DECIMALS = 6
"""Probabilities are rounded, so that equal items are equal whatever the order of a sum."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the batch, sub-batch by sub-batch."""
    order = by_id(pool)
    if not len(order) or num < 1:
        return []
    points_ND, labeled_LD = ordered(embeddings(pool), order), labeled_embeddings(pool)
    require_memory(context, "the classifier of `discriminative`", 4 * 8e-9 * points_ND.size)
    middle_D, scale_D = points_ND.mean(axis=0, dtype=np.float64), points_ND.std(axis=0, dtype=np.float64)
    scale_D[scale_D == 0] = 1.0
    standard_ND, standard_LD = (points_ND - middle_D) / scale_D, (labeled_LD - middle_D) / scale_D
    copies_N = np.unique(points_ND, axis=0, return_inverse=True)[1].ravel()
    choose = chooser([pool.item_ids[index] for index in order], context.seed)
    picks: list[Pick] = []
    free_N, fresh_N = np.ones(len(order), dtype=np.bool_), np.ones(len(order), dtype=np.bool_)
    while len(picks) < min(num, len(order)):
        if picks or len(labeled_LD):
            scores_N = unlabeled_probability(standard_ND, standard_LD, free_N)
            size, what = context.settings.sub_batch, "told from the labelled items with probability {:.3f}"
        else:
            scores_N = -np.sqrt(np.einsum("nd,nd->n", standard_ND, standard_ND))
            size, what = 1, "nearest to the pool's middle, as nothing is labelled yet"
        for _ in range(min(size, num - len(picks), len(order) - len(picks))):
            rows = np.flatnonzero(free_N & fresh_N)
            rows = rows if len(rows) else np.flatnonzero(free_N)
            row = choose(rows[scores_N[rows] == scores_N[rows].max()])
            score = float(scores_N[row])
            picks.append(Pick(int(order[row]), score, f"{what.format(score)}, pick {len(picks) + 1}"))
            free_N[row] = False
            fresh_N &= copies_N != copies_N[row]
    return picks


def unlabeled_probability(points_ND: FloatArray, labeled_LD: FloatArray, free_N: NDArray[np.bool_]) -> FloatArray:
    """Return scores_N, the probability that an item is unlabelled.

    Args:
        points_ND: The pool.
        labeled_LD: The labelled items.
        free_N: False for items of the pool that count as labelled. Some must be on either side.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    model.fit(
        np.concatenate([points_ND, labeled_LD]), np.concatenate([free_N, np.zeros(len(labeled_LD), dtype=np.bool_)])
    )
    scores_N: FloatArray = model.predict_proba(points_ND)[:, 1]
    return np.round(scores_N, DECIMALS)


STRATEGY = Strategy(
    "discriminative",
    "P(unlabelled | h): most unlike the labelled items, by a classifier that tells the two apart",
    select,
    needs=frozenset({EMBEDDINGS}),
    settings=DiscriminativeConfig,
)
