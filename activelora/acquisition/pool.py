"""From score_pool's tables to the one :class:`ScoredPool` that strategies see, whatever the sharding.

Letters: N unlabelled items, K samples, C answers, D features, L labelled items.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from activelora.acquisition.centering import middle
from activelora.acquisition.reliability import HALVES
from activelora.acquisition.spill import Parts
from activelora.acquisition.strategy import FloatArray, ScoredPool
from activelora.errors import StoreError

_NO_MEASURES = frozenset({"item_id", "mean_probs", "log_probs", "embedding", "difference", "labeled", *HALVES})
_LARGE = ("log_probs", "embedding", "difference")
GIGABYTE = 1e9


def scored_pool(
    tables: Iterable[pa.Table],
    base_tables: Iterable[pa.Table] | None = None,
    *,
    excluded: Collection[str] = (),
    label_names: tuple[str, ...] = (),
    memory_gb: float = 4.0,
    answers: Mapping[str, int] | None = None,
    centers: bool = False,
) -> ScoredPool:
    """Return the pool, ordered by id, without the excluded items.

    Args:
        tables: One a shard, in any order, read one after the other: ``item_id`` and, if the pool was scored, a column
            per measure, ``mean_probs``, and ``log_probs``, ``embedding`` or ``difference``, the latter two with
            ``labeled``, where the strategy needs them.
        base_tables: The same under the base model, of these items or more; None if that is the current model.
        excluded: Ids of items that must not be asked for (again).
        label_names: Names of the C answers.
        memory_gb: Samples, embeddings, or differences of more than a quarter of this lie in a temporary file, mapped
            into memory.
        answers: The labels that are known, by item id, as places among the C answers.
        centers: Whether the embeddings' mean is told, for strategies that take it off before cosines.

    Raises:
        StoreError: An item is there twice, or was not scored under the base model.
    """
    embeddings, differences, samples = (Parts(int(memory_gb * GIGABYTE / 4)) for _ in range(3))
    shards = [_without_large(table, embeddings, differences, samples) for table in tables if table.num_rows]
    ids, columns = _joined(shards)
    _refuse_twice(ids)
    order = np.argsort(ids, kind="stable")
    is_labeled = _labeled(shards, len(ids))
    unlabeled = order[~np.isin(ids[order], list(excluded)) & ~is_labeled[order]]
    measures = {name: values[unlabeled] for name, values in columns.items()}
    wanted = ids[unlabeled]
    mean_probs = _mean_probs(shards)
    labeled = order[is_labeled[order]]
    points_ND, labeled_LD = (embeddings.rows(rows) if embeddings else None for rows in (unlabeled, labeled))
    has_labeled = bool(embeddings or differences)
    return ScoredPool(
        tuple(wanted.tolist()),
        measures,
        measures if base_tables is None else _base_measures(base_tables, wanted),
        mean_probs[unlabeled],
        label_names,
        samples.rows(unlabeled, -np.inf) if samples else None,
        points_ND,
        labeled_LD,
        mean_probs[labeled] if has_labeled else None,
        _answers(ids[labeled], answers or {}) if has_labeled else None,
        middle([points_ND, labeled_LD]) if centers and points_ND is not None and labeled_LD is not None else None,
        *(differences.rows(rows) if differences else None for rows in (unlabeled, labeled)),
    )


def _answers(item_ids: np.ndarray, answers: Mapping[str, int]) -> NDArray[np.int64]:
    return np.array([answers.get(item_id, -1) for item_id in item_ids.tolist()], dtype=np.int64)


def _without_large(table: pa.Table, embeddings: Parts, differences: Parts, samples: Parts) -> pa.Table:
    """Move a shard's embeddings, differences and samples to where they are gathered."""
    for name, parts in (("embedding", embeddings), ("difference", differences)):
        if name in table.column_names:
            parts.add(_matrix(table[name]))
    if "log_probs" in table.column_names:
        num_answers = _matrix(table["mean_probs"]).shape[1]
        samples.add(_matrix(table["log_probs"]).reshape(table.num_rows, -1, num_answers))
    return _small(table)


def _small(table: pa.Table) -> pa.Table:
    return table.drop_columns([name for name in _LARGE if name in table.column_names])


def _base_measures(tables: Iterable[pa.Table], wanted: np.ndarray) -> Mapping[str, FloatArray]:
    ids, columns = _joined([_small(table) for table in tables if table.num_rows])
    order = np.argsort(ids, kind="stable")
    positions = np.searchsorted(ids[order], wanted)
    found = positions < len(ids)
    found[found] = ids[order][positions[found]] == wanted[found]
    if not found.all():
        missing = wanted[~found]
        raise StoreError(f"{len(missing)} items have no base model scores from round 0, first {missing[0]}")
    rows = order[positions]
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
