"""What score_pool kept for strategies that look at more than one score an item: samples and embeddings, checked.

Letters: N unlabelled items, K samples, C answers, D features, L labelled items.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.spill import blocks
from activelora.acquisition.strategy import (
    EMBEDDINGS,
    FEATURES,
    SAMPLES,
    Float32Array,
    FloatArray,
    ScoredPool,
    SelectionContext,
)
from activelora.errors import DIVERGED, ConfigError, ModelError


def by_id(pool: ScoredPool) -> NDArray[np.int64]:
    """Return the pool's indices in order of item id.

    A strategy that works in this order gives the same picks whatever the pool's order, to the last bit of every sum,
    and the first of equal items is the one with the smallest id.
    """
    return np.argsort(np.array(pool.item_ids, dtype=np.str_), kind="stable")


def samples(pool: ScoredPool) -> FloatArray:
    """Return log_probs_NKC.

    Raises:
        ConfigError: The pool was scored without keeping them.
        ModelError: One is not a number.
    """
    if pool.log_probs_NKC is None:
        raise _missing("the samples' distributions", SAMPLES)
    # An impossible answer has −inf.
    _refuse(pool, pool.log_probs_NKC, "the samples' log-probabilities are", allowed=-np.inf)
    return pool.log_probs_NKC


def embeddings(pool: ScoredPool) -> Float32Array:
    """Return embeddings_ND; raises as :func:`samples` does."""
    if pool.embeddings_ND is None:
        raise _missing("embeddings", EMBEDDINGS)
    _refuse(pool, pool.embeddings_ND, "the embedding is")
    return pool.embeddings_ND


def features(pool: ScoredPool) -> Float32Array:
    """Return features_ND, what the answers' log-odds are linear in for the last layer; raises as :func:`samples` does.

    They are the embeddings, unless an item's two answers are compared: then what the answers' states differ by.
    """
    if pool.features_ND is None:
        if pool.embeddings_ND is None:
            raise _missing("features", FEATURES)
        return embeddings(pool)
    _refuse(pool, pool.features_ND, "what the answers differ by is")
    return pool.features_ND


def ordered(array: NDArray[Any], order: NDArray[np.int64]) -> NDArray[Any]:
    """Return rows in an order: the array itself, not a copy, where it has that order already."""
    return array if np.array_equal(order, np.arange(len(array))) else array[order]


def require_memory(context: SelectionContext, what: str, gigabytes: float) -> None:
    """Refuse what does not fit into ``acquisition.memory_gb``.

    Args:
        context: Has the setting.
        what: What takes the memory, with the strategy's name.
        gigabytes: How much.

    Raises:
        ConfigError: It is more than the setting allows.
    """
    most = context.config.memory_gb
    if gigabytes > most:
        raise ConfigError(
            f"{what} takes {gigabytes:.1f} GB of memory, and {most:g} GB are allowed",
            where="acquisition.memory_gb",
            remedy="Raise it, set `data.pool.limit`, or choose `hybrid`, `core_set` or `badge`, which need less.",
        )


def labeled_features(pool: ScoredPool) -> Float32Array:
    """Return the features of the labelled items, (L, D), L may be 0; raises as :func:`labeled_embeddings` does."""
    if pool.features_ND is None:
        return labeled_embeddings(pool)
    return _finite(
        pool.labeled_features_LD, pool.features_ND.shape[1], "what the answers of labelled items differ by is"
    )


def labeled_embeddings(pool: ScoredPool) -> Float32Array:
    """Return labeled_embeddings_LD; L may be 0.

    Raises:
        ModelError: One is not a number.
    """
    found_LD = pool.labeled_embeddings_LD
    width = embeddings(pool).shape[1] if found_LD is None else found_LD.shape[1]
    return _finite(found_LD, width, "the embeddings of labelled items are")


def probabilities(pool: ScoredPool) -> FloatArray:
    """Return mean_probs_NC.

    Raises:
        ModelError: One is not a number.
    """
    _refuse(pool, pool.mean_probs_NC, "the mean probabilities are")
    return pool.mean_probs_NC


def labeled_probabilities(pool: ScoredPool) -> FloatArray:
    """Return labeled_probs_LC; L may be 0.

    Raises:
        ConfigError: There are labelled items, and their distributions were not kept.
        ModelError: One is not a number.
    """
    found_LC = pool.labeled_probs_LC
    if found_LC is None:
        if len(labeled_features(pool)):
            raise _missing("the labelled items' distributions", EMBEDDINGS)
        return np.empty((0, pool.mean_probs_NC.shape[1]))
    if not np.isfinite(found_LC).all():
        raise ModelError("the mean probabilities of labelled items are not all finite numbers", remedy=DIVERGED)
    return found_LC


def _finite(found_LD: Float32Array | None, width: int, what: str) -> Float32Array:
    if found_LD is None:
        return np.empty((0, width), dtype=np.float32)
    if not np.isfinite(found_LD).all():
        raise ModelError(f"{what} not all finite numbers", remedy=DIVERGED)
    return found_LD


def _missing(what: str, need: str) -> ConfigError:
    return ConfigError(
        f"the pool was scored without keeping {what}",
        remedy=f"The strategy must declare `{need}` among its needs, and the round must be scored with it.",
    )


def _refuse(pool: ScoredPool, values_NX: NDArray[Any], what: str, allowed: float = 0.0) -> None:
    """Refuse numbers that are not finite, but for the one that is allowed. Values in a file are read in blocks."""
    bad_N = np.zeros(len(values_NX), dtype=np.bool_)
    for block in blocks(values_NX):
        bad_BX = ~np.isfinite(values_NX[block]) & (values_NX[block] != allowed)
        bad_N[block] = bad_BX.reshape(len(bad_BX), math.prod(bad_BX.shape[1:])).any(axis=1)
    if bad_N.any():
        first = pool.item_ids[int(bad_N.argmax())]
        raise ModelError(
            f"{what} not finite for {int(bad_N.sum())} of {len(bad_N)} items, first {first}", remedy=DIVERGED
        )
