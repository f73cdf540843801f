"""A floor for every predicted class: no class is left out of a batch because the strategy prefers others.

Of every class, by the model's most probable answer (the first of equals), a batch holds at least ``per_class_floor``
items, as far as the pool has them. What is missing is picked by the strategy itself, from that class alone, with the
batch so far counted as labelled, and takes the place of the last picks of classes that are above the floor (random
draws of the exploration share count, and stay). If the batch is too small for all classes, the rarest go first.
Letters: N unlabelled items, C answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.checked import probabilities
from activelora.acquisition.hybrid import subset
from activelora.acquisition.strategy import Pick, ScoredPool
from activelora.acquisition.top import answer_name

Ask = Callable[[ScoredPool, int], list[Pick]]
"""The strategy, bound to its context: pool, number wanted → that many picks, or all."""


def raise_to_floor(ask: Ask, pool: ScoredPool, batch: list[Pick], fixed: Collection[int], floor: int) -> list[Pick]:
    """Return the batch with as many items of every predicted class as the floor asks for.

    Args:
        ask: Picks what is missing.
        pool: The unlabelled items.
        batch: Different items, most wanted first.
        fixed: Indices of picks that stay.
        floor: Items of every class, at least; 0 leaves the batch as it is.
    """
    if floor == 0 or not batch:
        return batch
    answers_N = probabilities(pool).argmax(axis=1)
    sizes = Counter(answers_N.tolist())
    batch = list(batch)
    for answer in sorted(sizes, key=lambda answer: (sizes[answer], answer)):
        counts = Counter(int(answers_N[pick.index]) for pick in batch)
        wanted = min(floor, sizes[answer]) - counts[answer]
        rows = _replaceable(batch, answers_N, fixed, floor)[: max(wanted, 0)]
        if not rows:
            continue
        added = _from_class(ask, pool, np.flatnonzero(answers_N == answer), batch, len(rows))
        found = f"only {counts[answer]} of the other picks" if counts[answer] else "none of the other picks"
        why = f"for the floor of {floor} a class: {found} predicted as {answer_name(pool, answer)}"
        for row, pick in zip(sorted(rows), added, strict=True):
            batch[row] = replace(pick, reason=f"{pick.reason}; {why}")
    return batch


def _replaceable(batch: list[Pick], answers_N: NDArray[np.int64], fixed: Collection[int], floor: int) -> list[int]:
    """Return rows of the batch that can be given away, last ones first, so that no class falls below the floor."""
    counts = Counter(int(answers_N[pick.index]) for pick in batch)
    rows = []
    for row in reversed(range(len(batch))):
        answer = int(answers_N[batch[row].index])
        if batch[row].index not in fixed and counts[answer] > floor:
            counts[answer] -= 1
            rows.append(row)
    return rows


def _from_class(ask: Ask, pool: ScoredPool, members: NDArray[np.int64], batch: list[Pick], num: int) -> list[Pick]:
    """Return the strategy's picks among the members that are not in the batch."""
    taken = np.array([pick.index for pick in batch], dtype=np.int64)
    free = members[~np.isin(members, taken)]
    part = subset(pool, free)
    if pool.embeddings_ND is not None and pool.labeled_embeddings_LD is not None:
        part = replace(
            part, labeled_embeddings_LD=np.concatenate([pool.labeled_embeddings_LD, pool.embeddings_ND[taken]])
        )
    if pool.features_ND is not None and pool.labeled_features_LD is not None:
        part = replace(part, labeled_features_LD=np.concatenate([pool.labeled_features_LD, pool.features_ND[taken]]))
    if pool.labeled_answers_L is not None:
        unknown = np.full(len(taken), -1, dtype=np.int64)
        part = replace(part, labeled_answers_L=np.concatenate([pool.labeled_answers_L, unknown]))
    if pool.labeled_probs_LC is not None:
        part = replace(part, labeled_probs_LC=np.concatenate([pool.labeled_probs_LC, pool.mean_probs_NC[taken]]))
    return [replace(pick, index=int(free[pick.index])) for pick in ask(part, num)]
