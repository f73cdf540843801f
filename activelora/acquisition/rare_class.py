"""Rare class: items that most likely have the rare label, like those found to have it and probable to the model.

Where one item in fifty has the label that counts, a random draw hardly meets it, and neither does uncertainty before
the model knows it (Mussmann et al. 2020, arXiv 2010.05103). So the batch searches for positives, as active search does
(Garnett et al. 2012, arXiv 1206.6406), by two rankings of the unlabelled items:

- similarity: max_j cos(h_i, h_j) − max_k cos(h_i, h_k), j over the labelled items with the rare label, k over those
  with another, h embeddings about their mean: among the neighbours of found positives, where SEALS (Coleman et al.
  2020, arXiv 2007.00077) looks too, those that no found negative is as near to;
- probability: p̄_i of the rare label under the current model.

score_i = mean of the two rank scores 1 − (rank − 1) / N: early the first knows more, later the second. With no positive
found yet it is probability alone, in round 0 (``acquisition.initial: strategy``) the zero-shot one, corrected for the
label prior where ``task.label_prior_correction`` says so. The label is ``acquisition.rare_class.label``; without one,
each time the one of the lowest mean probability over the unlabelled items. What the search picks stands for nothing;
the random draws (``acquisition.exploration``) tell how rare the label is.
Letters: N unlabelled items, C answers, D features, L labelled items, P and M positive and negative ones of these.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from activelora.acquisition.centering import directions
from activelora.acquisition.checked import by_id, embeddings, labeled_embeddings, ordered, probabilities
from activelora.acquisition.distances import BLOCK_NUMBERS
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
from activelora.acquisition.top import answer_name, top
from activelora.config.acquisition import RareClassConfig
from activelora.errors import ConfigError

DECIMALS = 9
"""Similarities are rounded, so that equal items are equal whatever the order of a sum."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top by the mean of the two rank scores."""
    if not pool.item_ids or num < 1:
        return []
    answer, order, points_ND = positive_answer(pool, context.settings.label), by_id(pool), embeddings(pool)
    name, probs_N = answer_name(pool, answer), probabilities(pool)[:, answer]
    found_PD, others_MD = _labeled(pool, answer)
    if not len(found_PD):

        def unknown(index: int) -> str:
            return f"{name} has probability {probs_N[index]:.2f}, no item with {name} is known yet"

        return top(pool, probs_N, num, unknown, seed=context.seed)
    similarity_N = np.empty(len(order))
    similarity_N[order] = similarity(ordered(points_ND, order), found_PD, others_MD, pool.middle_D)
    scores_N = np.round((rank_scores(similarity_N) + rank_scores(probs_N)) / 2, DECIMALS)

    def describe(index: int) -> str:
        nearer = f"{similarity_N[index]:+.2f} in cosine nearer to one of the {len(found_PD)} found than to others"
        return f"{name} has probability {probs_N[index]:.2f}, {nearer}"

    return top(pool, scores_N, num, describe, seed=context.seed)


def positive_answer(pool: ScoredPool, label: str | None) -> int:
    """Return the place of the rare label among the answers.

    Args:
        pool: The unlabelled items, at least one.
        label: Its name; None takes the label of the lowest mean probability, the first of equals.

    Raises:
        ConfigError: There is no such label.
    """
    if label is None:
        return int(np.round(probabilities(pool).mean(axis=0), DECIMALS).argmin())
    if label not in pool.label_names:
        raise ConfigError(
            f"there is no label `{label}`",
            key="acquisition.rare_class.label",
            remedy=f"Write one of: {', '.join(pool.label_names)}.",
        )
    return pool.label_names.index(label)


def similarity(
    points_ND: Float32Array, found_PD: Float32Array, others_MD: Float32Array, middle_D: FloatArray | None
) -> FloatArray:
    """Return every item's largest cosine to a found positive minus that to a negative, in [−2, 2].

    An embedding of length 0 has cosine 0 to all.

    Args:
        points_ND: Embeddings of the pool.
        found_PD: Those of the found positives, P at least 1.
        others_MD: Those of the negatives; without any, the cosine to positives alone counts.
        middle_D: What is taken off before cosines; None takes off nothing.
    """
    found, others = directions(found_PD, middle_D), directions(others_MD, middle_D)
    similarity_N = np.empty(len(points_ND))
    for rows in blocks(points_ND):
        for part in _small_blocks(rows, len(found) + len(others)):
            units = directions(points_ND[part], middle_D)
            similarity_N[part] = (units @ found.T).max(axis=1)
            if len(others):
                similarity_N[part] -= (units @ others.T).max(axis=1)
    return np.round(similarity_N, DECIMALS)


def rank_scores(values_N: FloatArray) -> FloatArray:
    """Return 1 − (rank − 1) / N, rank 1 the largest value; equal values all have the last of their ranks.

    So a ranking that tells nothing, in which all are equal, leaves the choice to the other one.

    Args:
        values_N: What to rank by.
    """
    rising = np.sort(values_N)
    ranks_N = len(rising) - np.searchsorted(rising, values_N, side="left")
    return np.asarray(1.0 - (ranks_N - 1) / len(rising), dtype=np.float64)


def _small_blocks(rows: slice, num_others: int) -> Iterator[slice]:
    """Yield parts of a slice whose cosines to that many others fit into a block."""
    size = max(1, BLOCK_NUMBERS // max(1, num_others))
    for begin in range(rows.start, rows.stop, size):
        yield slice(begin, min(begin + size, rows.stop))


def _labeled(pool: ScoredPool, answer: int) -> tuple[Float32Array, Float32Array]:
    """Return embeddings of the labelled items with the rare label, and of those with another."""
    labeled_LD, answers_L = labeled_embeddings(pool), pool.labeled_answers_L
    if answers_L is None:
        if len(labeled_LD):
            raise ConfigError("the pool was built without the labelled items' labels")
        return labeled_LD, labeled_LD
    return labeled_LD[answers_L == answer], labeled_LD[(answers_L != answer) & (answers_L >= 0)]


STRATEGY = Strategy(
    "rare_class",
    "like the items found with the rare label, and likely to have it: a search for positives",
    select,
    needs=frozenset({EMBEDDINGS}),
    needs_answers=True,
    settings=RareClassConfig,
)
