"""Discriminative: items that a classifier takes for unlabelled (Gissin and Shalev-Shwartz 2019, arXiv 1907.06347).

A classifier learns to tell the labelled items from the unlabelled ones by their embeddings; score = the probability
that an item is unlabelled. The batch is picked in sub-batches: the items picked so far count as labelled in the next
one, which makes the batch diverse. Equal scores go by item id.

The classifier is logistic regression on standardised embeddings with balanced classes (scikit-learn; the paper uses a
small network). Before there are labels, the first item is the one nearest to the mean, as in core-set.
Letters: N unlabelled items, L labelled items, D features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.kept import by_id, embeddings, labeled_embeddings
from activelora.acquisition.strategy import (
    EMBEDDINGS,
    FloatArray,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)

DECIMALS = 6
"""Probabilities are rounded, so that equal items are equal whatever the order of a sum."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the batch, sub-batch by sub-batch."""
    order = by_id(pool)
    if not len(order) or num < 1:
        return []
    points_ND, labeled_LD = embeddings(pool)[order], labeled_embeddings(pool)
    middle_D, scale_D = points_ND.mean(axis=0, dtype=np.float64), points_ND.std(axis=0, dtype=np.float64)
    scale_D[scale_D == 0] = 1.0
    standard_ND, standard_LD = (points_ND - middle_D) / scale_D, (labeled_LD - middle_D) / scale_D
    picks: list[Pick] = []
    free_N = np.ones(len(order), dtype=np.bool_)
    if not len(labeled_LD):
        first = int(np.einsum("nd,nd->n", standard_ND, standard_ND).argmin())
        picks.append(Pick(int(order[first]), None, "in the middle of the pool: nothing is labelled yet, pick 1"))
        free_N[first] = False
    while len(picks) < min(num, len(order)):
        scores_N = unlabeled_probability(standard_ND, standard_LD, free_N)
        size = min(context.config.sub_batch, num - len(picks))
        for row in np.argsort(np.where(free_N, -scores_N, 1.0), kind="stable")[:size]:
            if free_N[row]:
                reason = f"told from the labelled items with probability {scores_N[row]:.3f}, pick {len(picks) + 1}"
                picks.append(Pick(int(order[row]), float(scores_N[row]), reason))
                free_N[row] = False
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
    options=("sub_batch",),
    needs=frozenset({EMBEDDINGS}),
)
