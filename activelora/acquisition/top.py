"""The top of a ranking, which all uncertainty strategies share: they differ only in what they rank by.

Letters: N unlabelled items, C answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from activelora.acquisition.random import draw
from activelora.acquisition.strategy import FloatArray, Pick, ScoredPool
from activelora.acquisition.ties import ranking
from activelora.errors import DIVERGED, ConfigError, ModelError

_UNDECLARED = "A strategy that reads the base model's measures says so: `reads_base=True`."
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def top(
    pool: ScoredPool, scores_N: FloatArray, num: int, describe: Callable[[int], str], *, seed: int | None = None
) -> list[Pick]:
    """Return the highest scores first; equal scores by the seeded draw, so that runs repeat whatever the pool's order.

    Args:
        pool: The unlabelled items.
        scores_N: What to rank by.
        num: How many; all, if the pool is smaller.
        describe: Index → the score in words.
        seed: Seed of a random batch, drawn where all scores are equal (samples cannot disagree in round 0, which has
            one), and of the draw among equal scores. None lets equal scores go by item id.
    """
    if seed is not None and len(scores_N) > 1 and np.ptp(scores_N) == 0:
        reason = "drawn at random: every item scores the same"
        return [Pick(index, None, reason) for index in draw(pool.item_ids, num, seed)]
    order = ranking(scores_N, pool.item_ids, seed)[:num]
    size = len(pool.item_ids)
    return [
        Pick(index, float(scores_N[index]), f"{describe(index)}, rank {rank} of {size}{hesitation(pool, index)}")
        for rank, index in enumerate(order.tolist(), 1)
    ]


def measure(pool: ScoredPool, name: str) -> FloatArray:
    """Return scores_N of a measure under the current model.

    Raises:
        ConfigError: The pool was not scored by it.
        ModelError: A score is not a number.
    """
    return _checked(pool, pool.measures, name, "the current model")


def base_measure(pool: ScoredPool, name: str) -> FloatArray:
    """Return scores_N of a measure under the base model; raises as :func:`measure` does."""
    return _checked(pool, pool.base_measures, name, "the base model")


def hesitation(pool: ScoredPool, index: int) -> str:
    """Return in words between which two answers the model hesitates; nothing if it knows one answer only."""
    probs_C = pool.mean_probs_NC[index]
    if np.count_nonzero(probs_C) < 2:
        return ""
    first, second = np.argsort(-probs_C, kind="stable")[:2].tolist()
    names = [f"{answer_name(pool, answer)} ({probs_C[answer]:.2f})" for answer in (first, second)]
    return f"; the model hesitates between {names[0]} and {names[1]}"


def answer_name(pool: ScoredPool, answer: int) -> str:
    """Return an answer in words: its label, or its letter where every item has its own choices."""
    if answer < len(pool.label_names):
        return pool.label_names[answer]
    return _LETTERS[answer] if answer < len(_LETTERS) else str(answer)


def _checked(pool: ScoredPool, measures: Mapping[str, FloatArray], name: str, whose: str) -> FloatArray:
    if name not in measures:
        known = ", ".join(sorted(measures)) or "none"
        raise ConfigError(
            f"the pool has no scores of `{name}` under {whose}; it has: {known}",
            remedy=_UNDECLARED if measures is pool.base_measures and not measures else "",
        )
    scores_N = measures[name]
    if not (fine_N := np.isfinite(scores_N)).all():
        bad = int(fine_N.argmin())
        raise ModelError(
            f"`{name}` under {whose} is {scores_N[bad]} for {int((~fine_N).sum())} of {len(fine_N)} items, "
            f"first {pool.item_ids[bad]}",
            remedy=DIVERGED,
        )
    return scores_N
