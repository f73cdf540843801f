"""From score_pool's tables to the one :class:`ScoredPool` that strategies see, whatever the sharding.

Letters: N unlabelled items, C answers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from activelora.acquisition.strategy import FloatArray, ScoredPool
from activelora.errors import StoreError


def scored_pool(
    tables: Sequence[pa.Table],
    base_tables: Sequence[pa.Table] | None = None,
    *,
    excluded: Collection[str] = (),
    label_names: tuple[str, ...] = (),
) -> ScoredPool:
    """Return the pool, ordered by id, without the excluded items.

    Args:
        tables: One a shard, in any order: ``item_id`` and, if the pool was scored, a column per measure and
            ``mean_probs``.
        base_tables: The same under the base model, of these items or more; None if that is the current model.
        excluded: Ids of items that must not be asked for (again).
        label_names: Names of the C answers.

    Raises:
        StoreError: An item is there twice, or was not scored under the base model.
    """
    ids, columns, mean_probs_NC = _joined(tables)
    _refuse_twice(ids)
    kept = np.argsort(ids, kind="stable")
    kept = kept[~np.isin(ids[kept], list(excluded))]
    measures = {name: values[kept] for name, values in columns.items()}
    wanted = ids[kept]
    base = measures if base_tables is None else _base_measures(base_tables, wanted)
    return ScoredPool(tuple(wanted.tolist()), measures, base, mean_probs_NC[kept], label_names)


def _base_measures(tables: Sequence[pa.Table], wanted: np.ndarray) -> Mapping[str, FloatArray]:
    ids, columns, _ = _joined(tables)
    order = np.argsort(ids, kind="stable")
    places = np.searchsorted(ids[order], wanted)
    found = places < len(ids)
    found[found] = ids[order][places[found]] == wanted[found]
    if not found.all():
        missing = wanted[~found]
        raise StoreError(f"{len(missing)} items have no base model scores from round 0, first {missing[0]}")
    rows = order[places]
    return {name: values[rows] for name, values in columns.items()}


def _joined(tables: Sequence[pa.Table]) -> tuple[np.ndarray, dict[str, FloatArray], FloatArray]:
    """Return ids, measures and mean_probs_NC of all shards. An empty shard may lack the columns of the others."""
    filled = [table for table in tables if table.num_rows]
    if not filled:
        return np.empty(0, dtype=np.str_), {}, np.empty((0, 0))
    ids = np.array([item_id for table in filled for item_id in table["item_id"].to_pylist()], dtype=np.str_)
    names = [name for name in filled[0].column_names if name not in ("item_id", "mean_probs")]
    columns = {name: np.concatenate([table[name].to_numpy() for table in filled]) for name in names}
    if "mean_probs" not in filled[0].column_names:
        return ids, columns, np.empty((len(ids), 0))
    return ids, columns, _padded([table["mean_probs"] for table in filled])


def _padded(lists: Sequence[pa.ChunkedArray]) -> FloatArray:
    lengths_N = np.concatenate([pc.list_value_length(one).to_numpy() for one in lists])
    values = np.concatenate([pc.list_flatten(one).to_numpy() for one in lists])
    padded_NC = np.zeros((len(lengths_N), int(lengths_N.max())))
    padded_NC[np.arange(padded_NC.shape[1]) < lengths_N[:, None]] = values
    return padded_NC


def _refuse_twice(ids: np.ndarray) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if len(values) < len(ids):
        raise StoreError(f"{len(ids) - len(values)} items were scored twice, first {values[counts > 1][0]}")
