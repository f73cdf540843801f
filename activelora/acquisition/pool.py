"""From score_pool's tables to the one :class:`ScoredPool` that strategies see, whatever the sharding.

Letters: N unlabelled items, K samples, C answers, D features, L labelled items.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from activelora.acquisition.strategy import Float32Array, FloatArray, ScoredPool
from activelora.errors import StoreError

_NO_MEASURES = frozenset({"item_id", "mean_probs", "log_probs", "embedding", "labeled"})


def scored_pool(
    tables: Sequence[pa.Table],
    base_tables: Sequence[pa.Table] | None = None,
    *,
    excluded: Collection[str] = (),
    label_names: tuple[str, ...] = (),
) -> ScoredPool:
    """Return the pool, ordered by id, without the excluded items.

    Args:
        tables: One a shard, in any order: ``item_id`` and, if the pool was scored, a column per measure,
            ``mean_probs``, and ``log_probs`` or ``embedding`` with ``labeled`` where the strategy needs them.
        base_tables: The same under the base model, of these items or more; None if that is the current model.
        excluded: Ids of items that must not be asked for (again).
        label_names: Names of the C answers.

    Raises:
        StoreError: An item is there twice, or was not scored under the base model.
    """
    shards = [table for table in tables if table.num_rows]
    ids, columns = _joined(shards)
    _refuse_twice(ids)
    order = np.argsort(ids, kind="stable")
    is_labeled = _labeled(shards, len(ids))
    kept = order[~np.isin(ids[order], list(excluded)) & ~is_labeled[order]]
    measures = {name: values[kept] for name, values in columns.items()}
    wanted = ids[kept]
    embeddings = _embeddings(shards)
    samples = _samples(shards)
    mean_probs = _mean_probs(shards)
    company = order[is_labeled[order]]
    return ScoredPool(
        tuple(wanted.tolist()),
        measures,
        measures if base_tables is None else _base_measures(base_tables, wanted),
        mean_probs[kept],
        label_names,
        None if samples is None else samples[kept],
        None if embeddings is None else embeddings[kept],
        None if embeddings is None else embeddings[company],
        None if embeddings is None else mean_probs[company],
    )


def _base_measures(tables: Sequence[pa.Table], wanted: np.ndarray) -> Mapping[str, FloatArray]:
    ids, columns = _joined([table for table in tables if table.num_rows])
    order = np.argsort(ids, kind="stable")
    places = np.searchsorted(ids[order], wanted)
    found = places < len(ids)
    found[found] = ids[order][places[found]] == wanted[found]
    if not found.all():
        missing = wanted[~found]
        raise StoreError(f"{len(missing)} items have no base model scores from round 0, first {missing[0]}")
    rows = order[places]
    return {name: values[rows] for name, values in columns.items()}


def _joined(shards: Sequence[pa.Table]) -> tuple[np.ndarray, dict[str, FloatArray]]:
    """Return ids and measures of all shards that have rows (an empty one may lack the columns of the others)."""
    if not shards:
        return np.empty(0, dtype=np.str_), {}
    ids = np.array([item_id for table in shards for item_id in table["item_id"].to_pylist()], dtype=np.str_)
    names = [name for name in shards[0].column_names if name not in _NO_MEASURES]
    return ids, {name: np.concatenate([table[name].to_numpy() for table in shards]) for name in names}


def _has(shards: Sequence[pa.Table], name: str) -> bool:
    return bool(shards) and name in shards[0].column_names


def _labeled(shards: Sequence[pa.Table], num_items: int) -> NDArray[np.bool_]:
    if not _has(shards, "labeled"):
        return np.zeros(num_items, dtype=np.bool_)
    return np.concatenate([table["labeled"].to_numpy() for table in shards])


def _mean_probs(shards: Sequence[pa.Table]) -> FloatArray:
    if not _has(shards, "mean_probs"):
        return np.empty((sum(table.num_rows for table in shards), 0))
    parts = [_matrix(table["mean_probs"]) for table in shards]
    return _joined_width(parts, 0.0)


def _samples(shards: Sequence[pa.Table]) -> FloatArray | None:
    """Return log_probs_NKC, or None where they were not kept; C is the length of ``mean_probs``."""
    if not _has(shards, "log_probs"):
        return None
    parts = []
    for table in shards:
        num_answers = _matrix(table["mean_probs"]).shape[1]
        parts.append(_matrix(table["log_probs"]).reshape(table.num_rows, -1, num_answers))
    return _joined_width(parts, -np.inf)


def _embeddings(shards: Sequence[pa.Table]) -> Float32Array | None:
    if not _has(shards, "embedding"):
        return None
    parts: list[Float32Array] = [_matrix(table["embedding"]) for table in shards]
    return np.concatenate(parts)


def _matrix(lists: pa.ChunkedArray) -> NDArray[Any]:
    """Return lists of one length, as every shard's are, as a matrix."""
    matrix: NDArray[Any] = pc.list_flatten(lists).to_numpy().reshape(len(lists), -1)
    return matrix


def _joined_width(parts: Sequence[FloatArray], padding: float) -> FloatArray:
    """Concatenate shards along the first axis, padding the last one to the widest."""
    width = max(part.shape[-1] for part in parts)
    padded = [
        np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, width - part.shape[-1])], constant_values=padding)
        for part in parts
    ]
    return np.concatenate(padded)


def _refuse_twice(ids: np.ndarray) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if len(values) < len(ids):
        raise StoreError(f"{len(ids) - len(values)} items were scored twice, first {values[counts > 1][0]}")
