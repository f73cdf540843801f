"""Large pools: read, split and written by columns, with the same items, splits and files as row by row.

Only sound data go this way to the end. Where rows contradict each other and that is a problem, or where anything is
not what this path is made for, :func:`gather` says so, and the pool is read row by row, which finds the words for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from activelora.campaign.records import GOLD_SCHEMA, ITEM_SCHEMA, Item
from activelora.config import CampaignConfig
from activelora.errors import DataError, ProblemsError
from activelora.formats.arrow_rows import ERRORS
from activelora.formats.problems import Problems
from activelora.formats.unpack import ENDINGS
from activelora.pool.chunks import Chunk, ChunkReader
from activelora.pool.column_census import ColumnCensus, Gathering, IdSet, Indices
from activelora.pool.columns import OddRowsError, id_texts
from activelora.pool.content import LabelUse
from activelora.pool.files import find_files
from activelora.pool.label_readings import LabelReadings
from activelora.pool.split import largest_remainder, nothing_left, too_few
from activelora.progress import track
from activelora.seeding import derive_seed
from activelora.tasks.task import Task

Ids = frozenset[str]
LEAST_BYTES = 32_000_000
"""Smaller pools are read row by row, which takes seconds."""
_ROW_BYTES = 160
"""What a row counts where a file tells how many it has: columns that repeat values are small on disk."""
_PACKED_RATIO = 4
"""About what text gains by packing."""


def is_columnar(config: CampaignConfig, task: Task, labels: LabelUse, least_bytes: int) -> bool:
    """Tell whether the pool is large, and of the kind that can be read by columns.

    Raises:
        ActiveLoRAError: It is not there.
    """
    source = config.data.pool
    if source.path.startswith(("hf://", "builtin:")) or task.kind.needs_choices:
        return False
    if (not task.kind.draws_by_label and labels != "ignored") or config.known_labels == "holdout":
        return False
    num_bytes = 0
    for file in find_files(source, config.data.folder):
        with file.open() as opened:
            num_bytes += _num_bytes(opened, file.name)
    return num_bytes >= least_bytes


def _num_bytes(file: BinaryIO, name: str) -> int:
    """Return about how many bytes of text a file holds."""
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(4) == b"PAR1":
        try:
            return max(size, _ROW_BYTES * int(pq.ParquetFile(file).metadata.num_rows))
        except ERRORS:  # the reading tells it
            return size
    return size * _PACKED_RATIO if name.lower().endswith(ENDINGS) else size


def gather(config: CampaignConfig, task: Task, labels: LabelUse, problems: Problems) -> ColumnCensus | None:
    """Read the pool once; return None if it must be read row by row.

    Args:
        config: The campaign's settings.
        task: Its task.
        labels: How gold labels are used.
        problems: Collector of what is wrong; of no use if None is returned.
    """
    gathering = Gathering(LabelReadings(task, config.data.label_numbers))
    try:
        chunks = _chunks(config, task, labels, problems, gathering.readings)
        for chunk in track(chunks, "reading the pool", None):
            gathering.add(chunk)
    except (OddRowsError, ProblemsError):
        return None
    if gathering.sample is None:
        return None
    census = gathering.census()
    is_contradicted = census.num_contradictions and config.data.contradictions == "refuse"
    return None if is_contradicted or census.has_twofold_ids else census


def split_pool(config: CampaignConfig, census: ColumnCensus, known: Collection[str] = ()) -> tuple[IdSet, Ids, Ids]:
    """Return pool, holdout and calibration as :func:`activelora.pool.partition.split_items` draws them from the pool.

    Args:
        config: The campaign's settings.
        census: The pool.
        known: Items with a label in a column of their own, which ``limit`` leaves out last.

    Raises:
        DataError: There are too few items.
    """
    data = config.data
    indices = _limited(config, census, np.flatnonzero(census.is_consistent_P), known)
    labeled = indices[census.labels_P[indices] >= 0]
    if (needed := data.holdout_size + data.calibration_size) > len(labeled) or needed >= len(indices):
        raise too_few(config, len(indices), len(labeled))
    holdout = _stratified(config, census, labeled, data.holdout_size, "holdout")
    is_in_P = np.zeros(len(census.ids_PB), dtype=np.bool_)
    is_in_P[indices] = True
    is_in_P[holdout] = False
    calibration = _stratified(config, census, labeled[is_in_P[labeled]], data.calibration_size, "calibration")
    is_in_P[calibration] = False
    return IdSet(census, is_in_P), _texts(census, holdout), _texts(census, calibration)


def without_overlap(
    config: CampaignConfig, census: ColumnCensus, held_out: Collection[str], known: Collection[str] = ()
) -> tuple[IdSet, int]:
    """Return the pool without the items of a given holdout, and how many were taken out.

    Args:
        config: The campaign's settings.
        census: The pool.
        held_out: The holdout's items.
        known: Items with a label in a column of their own, which ``limit`` leaves out last.

    Raises:
        DataError: Nothing is left.
    """
    is_left_P = census.is_consistent_P.copy()
    is_left_P[list(census.find(held_out).values())] = False
    num_overlap = len(census) - int(is_left_P.sum())
    if not is_left_P.any():
        raise nothing_left(config, len(census))
    is_in_P = np.zeros_like(is_left_P)
    is_in_P[_limited(config, census, np.flatnonzero(is_left_P), known)] = True
    return IdSet(census, is_in_P), num_overlap


def shards(
    config: CampaignConfig, task: Task, labels: LabelUse, pool: IdSet, held_out: Ids, items: list[Item]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Read the pool again and yield the tables of items and of gold labels, a shard at a time.

    Args:
        config: The campaign's settings.
        task: Its task.
        labels: How gold labels were used in the survey.
        pool: The pool's items.
        held_out: Ids of items that were drawn from the pool's source for the splits.
        items: Takes those items.

    Raises:
        DataError: The source has changed since it was surveyed.
    """
    size, waiting = config.data.shard_rows, 0
    parts: list[tuple[pa.Table, pa.Table]] = []
    try:
        for part in _selected(config, task, labels, pool, held_out, items):
            parts.append(part)
            waiting += len(part[0])
            while waiting >= size:
                yield _first_rows(parts, size)
                waiting -= size
    except OddRowsError:  # the survey found none
        raise _changed(config) from None
    if waiting:
        yield _first_rows(parts, waiting)


def _selected(
    config: CampaignConfig, task: Task, labels: LabelUse, pool: IdSet, held_out: Ids, items: list[Item]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    census, problems, begin, number = pool.census, Problems(), 0, 0
    drawn = {index: item_id for item_id, index in census.find(held_out).items()}
    is_drawn_P = np.zeros(len(census.ids_PB), dtype=np.bool_)
    is_drawn_P[list(drawn)] = True
    chunks = _chunks(config, task, labels, problems, LabelReadings(task, config.data.label_numbers))
    for number, chunk in enumerate(track(chunks, "writing the pool", None), 1):
        if number > len(census.checksums) or census.checksums[number - 1] != chunk.checksum:
            raise _changed(config)
        first, last = np.searchsorted(census.first_rows_P, [begin, begin + len(chunk)])
        indices = np.arange(first, last)
        rows = census.first_rows_P[indices] - begin
        for index, row in zip(indices[is_drawn_P[indices]], rows[is_drawn_P[indices]], strict=True):
            items.append(chunk.item(int(row), drawn[int(index)]))
        chosen = pool.is_in_P[indices]
        yield _tables(census, chunk, rows[chosen], indices[chosen])
        begin += len(chunk)
    problems.refuse()
    if number != len(census.checksums):
        raise _changed(config)


def _tables(census: ColumnCensus, chunk: Chunk, rows: NDArray[np.int64], indices: Indices) -> tuple[pa.Table, pa.Table]:
    ids, taken = id_texts(census.ids_PB[indices]), pa.array(rows)
    num, names = len(rows), list(chunk.fields)
    columns = [texts.take(taken) for texts in chunk.fields.values()]
    values = columns[0]
    if len(columns) > 1:
        values = pa.concat_arrays(columns).take(
            pa.array(np.arange(num * len(names)).reshape(len(names), num).T.ravel())
        )
    keys = pa.DictionaryArray.from_arrays(np.tile(np.arange(len(names)), num), names).cast(pa.string())
    offsets = pa.array(np.arange(0, num * len(names) + 1, len(names), dtype=np.int32))
    fields = pa.MapArray.from_arrays(offsets, keys, values)
    own_ids = pa.nulls(num, pa.string()) if chunk.source_ids is None else chunk.source_ids.take(taken)
    choices = pa.nulls(num, pa.list_(pa.string()))
    items = pa.Table.from_arrays([ids, own_ids, fields, choices], schema=ITEM_SCHEMA)
    labels = census.labels_P[indices]
    gold = [ids, pa.array(labels, mask=labels < 0), pa.nulls(num, pa.string())]
    return items, pa.Table.from_arrays(gold, schema=GOLD_SCHEMA)


def _first_rows(parts: list[tuple[pa.Table, pa.Table]], size: int) -> tuple[pa.Table, pa.Table]:
    """Take that many rows off the front of some tables."""
    whole = [pa.concat_tables([part[side] for part in parts]) for side in (0, 1)]
    parts[:] = [(whole[0].slice(size), whole[1].slice(size))]
    items, gold = (table.slice(0, size).combine_chunks() for table in whole)
    return items, gold


def _chunks(
    config: CampaignConfig, task: Task, labels: LabelUse, problems: Problems, readings: LabelReadings
) -> Iterator[Chunk]:
    files = find_files(config.data.pool, config.data.folder, problems.note)
    cuts = config.data.long_texts == "cut"
    return ChunkReader(config.data.columns, task, labels, problems, readings=readings, cuts_long_texts=cuts).read(files)


def _changed(config: CampaignConfig) -> DataError:
    return DataError(
        "the data changed while it was read",
        where=config.data.pool.path,
        remedy="Run again when nothing writes to it.",
    )


def _limited(config: CampaignConfig, census: ColumnCensus, indices: Indices, known: Collection[str]) -> Indices:
    limit = config.data.pool.limit
    if limit is None:
        return indices
    seed = derive_seed(config.split_seed, "ingest_pool", "limit", "pool")
    is_known_P = np.zeros(len(census.ids_PB), dtype=np.bool_)
    is_known_P[list(census.find(known).values())] = True
    left, chosen = indices, list[Indices]()
    for is_first_P in (is_known_P, census.labels_P >= 0, np.ones_like(is_known_P)):
        group = left[is_first_P[left]]
        chosen.append(census.smallest(group, census.keys(seed, group), limit - sum(map(len, chosen))))
        left = left[~is_first_P[left]]
    return np.sort(np.concatenate(chosen))


def _stratified(config: CampaignConfig, census: ColumnCensus, indices: Indices, size: int, name: str) -> Indices:
    if size == 0:
        return indices[:0]
    labels = census.labels_P[indices]
    keys = census.keys(derive_seed(config.split_seed, "ingest_pool", name), indices)
    counts = np.bincount(labels)
    quotas = largest_remainder({label: int(counts[label]) for label in np.flatnonzero(counts).tolist()}, size)
    parts = [census.smallest(indices[labels == label], keys[labels == label], quota) for label, quota in quotas.items()]
    return np.sort(np.concatenate(parts))


def _texts(census: ColumnCensus, indices: Indices) -> Ids:
    return frozenset(id_texts(census.ids_PB[indices]).to_pylist())
