"""The plan of a pool: which items it has, and which of them measure the result. Nothing is written here.

Every source is read once for its ids and labels (:mod:`activelora.pool.census`), the splits are drawn, and
:func:`stream_items` reads the texts when they are needed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal

from activelora.campaign.records import Item, Label
from activelora.config import CampaignConfig, SourceConfig
from activelora.errors import ActiveLoRAError, DataError, ProblemsError
from activelora.formats.exports.export import passed_in_words
from activelora.formats.problems import Problems
from activelora.formats.row import Row
from activelora.pool import column_survey
from activelora.pool.census import Census
from activelora.pool.column_census import ColumnCensus
from activelora.pool.content import LabelUse, RowParser, Votes, wanted_columns
from activelora.pool.known_labels import KnownLabels, known_in
from activelora.pool.label_readings import LabelReadings
from activelora.pool.readers import read_rows
from activelora.pool.split import draw, nothing_left, stratified, too_few
from activelora.progress import track
from activelora.seeding import derive_seed
from activelora.tasks.task import Task

SourceName = Literal["pool", "holdout"]
Ids = frozenset[str]


@dataclass(frozen=True)
class Survey:
    """Which item goes where. The three sets of ids share none.

    Attributes:
        pool_ids: The unlabelled pool.
        holdout_ids: Measured on.
        calibration_ids: Ids of the items for temperature scaling; empty if left out.
        pool: Census of the pool's source.
        labeled: Census of the source that holdout and calibration come from; the pool's, if none is given.
        num_overlap: Items taken out of the pool because a given holdout has them too.
        warnings: What is allowed but looks wrong, in words.
        known: What the pool's items are labelled with that have a label already and are to be trained on.
    """

    pool_ids: Set[str]
    holdout_ids: Ids
    calibration_ids: Ids
    pool: Census | ColumnCensus
    labeled: Census | ColumnCensus
    num_overlap: int
    warnings: tuple[str, ...]
    known: KnownLabels = field(default_factory=KnownLabels)

    @property
    def num_duplicates(self) -> int:
        """Rows of all sources whose content was there already."""
        given = 0 if self.labeled is self.pool else self.labeled.num_duplicates
        return self.pool.num_duplicates + given

    @property
    def num_left_out(self) -> int:
        """Pool items left out by ``limit``."""
        drawn = 0 if self.labeled is not self.pool else len(self.holdout_ids) + len(self.calibration_ids)
        return len(self.pool) - len(self.pool_ids) - drawn - self.num_overlap


def survey_data(config: CampaignConfig, task: Task, columnar_bytes: int = column_survey.LEAST_BYTES) -> Survey:
    """Read all sources once and draw the splits.

    A given holdout is split into holdout and calibration; its items are taken out of the pool. Without one, both are
    drawn from the pool's labelled items, stratified. ``limit`` applies to the pool after a given holdout's items are
    gone, and before holdout and calibration are drawn from it.

    Args:
        config: The campaign's settings.
        task: Its task.
        columnar_bytes: A pool of this size or more is read by columns, with the same result.

    Raises:
        ProblemsError: Everything that is wrong with the data, as far as it can be seen at once.
    """
    pool, problems = _pool_census(config, task, columnar_bytes)
    labeled = pool if config.data.holdout is None else _census(config, task, "holdout", problems)
    if not len(pool) and pool.readings.num_left_out and not problems:
        why = "; ".join(passed_in_words(pool.readings.passed))
        problems.add(DataError("no row of the pool has a label", where=config.data.pool.path, remedy=why))
    problems.refuse()
    try:
        pool_ids, holdout_ids, calibration_ids, num_overlap = _split(config, task, pool, labeled)
    except DataError as error:
        known = [*pool.readings.warnings("data.pool"), *problems.notes]
        problem = "; ".join([error.problem, *known])
        raise ProblemsError([DataError(problem, where=error.where, remedy=error.remedy)]) from None
    warnings = (*problems.notes, *_contradictions(pool, labeled), *_warnings(config, task, pool, labeled, holdout_ids))
    labels = _known(config, task, pool, pool_ids)
    return Survey(pool_ids, holdout_ids, calibration_ids, pool, labeled, num_overlap, warnings, labels)


def _known(config: CampaignConfig, task: Task, pool: Census | ColumnCensus, pool_ids: Set[str]) -> KnownLabels:
    """Return the known labels to train on.

    Raises:
        ProblemsError: They stand in a column of their own, and something is wrong with it.
    """
    column = config.known_labels_column
    if config.known_labels != "train" or column is None:
        return KnownLabels()
    if column == config.data.columns.label:
        return known_in(pool, pool_ids)
    columns = config.data.columns.model_copy(update={"label": column})
    data, problems = config.data.model_copy(update={"columns": columns}), Problems()
    census = _census(config.model_copy(update={"data": data}), task, "pool", problems, "optional")
    if not problems and not census.labeled(census):
        problem = f"no row of the pool has a label in column `{column}`"
        problems.add(DataError(problem, where="data.known_labels_column", remedy="Correct the name, or leave it out."))
    problems.refuse()
    return known_in(census, pool_ids)


def _split(
    config: CampaignConfig, task: Task, pool: Census | ColumnCensus, labeled: Census | ColumnCensus
) -> tuple[Set[str], Ids, Ids, int]:
    """Return the ids of pool, holdout and calibration, and how many items the pool lost to a given holdout."""
    if isinstance(labeled, ColumnCensus):  # it is the pool's: a given holdout is read row by row
        return *column_survey.split_pool(config, labeled), 0
    if labeled is pool:
        return *_split_pool(config, task, labeled), 0
    holdout_ids, calibration_ids = _split_holdout(config, task, labeled)
    held_out = holdout_ids | calibration_ids
    if isinstance(pool, ColumnCensus):
        left, num_overlap = column_survey.without_overlap(config, pool, held_out)
        return left, holdout_ids, calibration_ids, num_overlap
    pool_ids, num_overlap = _without_overlap(config, pool, held_out)
    return pool_ids, holdout_ids, calibration_ids, num_overlap


def stream_items(config: CampaignConfig, task: Task, name: SourceName, ids: Set[str], num_rows: int) -> Iterator[Item]:
    """Read a source again and yield the items with these ids, each once, in the order of the source.

    Args:
        config: The campaign's settings.
        task: Its task.
        name: Which source.
        ids: The items wanted.
        num_rows: Rows of the source, for the progress shown.

    Raises:
        DataError: The source has changed since it was surveyed.
    """
    problems = Problems()
    left = set(ids)
    rows = _rows(config, task, name, "ignored", problems)
    for item, _, _ in track(rows, f"writing the {name}", num_rows):
        if item.item_id in left:
            left.remove(item.item_id)
            yield item
    problems.refuse()
    if left:
        raise DataError(
            f"{len(left)} items are gone: the data changed while it was read",
            where=_source(config, name).path,
            remedy="Run again when nothing writes to it.",
        )


def first_items(config: CampaignConfig, task: Task, num_items: int) -> list[Item]:
    """Return the first items of the pool's source, as many as are asked for or there are; none twice.

    Args:
        config: The campaign's settings.
        task: Its task.
        num_items: How many.
    """
    found: dict[str, Item] = {}
    with contextlib.closing(_rows(config, task, "pool", "ignored", Problems())) as rows:
        for item, _, _ in rows:
            found.setdefault(item.item_id, item)
            if len(found) == num_items:
                break
    return list(found.values())


def label_use(config: CampaignConfig, name: SourceName) -> LabelUse:
    """Return how a source's gold labels are used.

    The oracle needs a label of every pool item, and rows without are left out. Another label source reads the pool's
    labels to draw a holdout from the items that have one, or because they are known labels; else it never looks at
    them.
    """
    if name == "holdout":
        return "required"
    if config.labeling.source == "oracle":
        return "or_left_out"
    is_known = config.known_labels_column is not None and config.known_labels_column == config.data.columns.label
    return "optional" if config.data.holdout is None or is_known else "ignored"


def _source(config: CampaignConfig, name: SourceName) -> SourceConfig:
    source = config.data.pool if name == "pool" else config.data.holdout
    assert source is not None, "callers ask for the holdout's source only where one is given"  # noqa: S101
    return source


def _rows(
    config: CampaignConfig,
    task: Task,
    name: SourceName,
    labels: LabelUse,
    problems: Problems,
    readings: LabelReadings | None = None,
) -> Generator[tuple[Item, Label | Votes | None, Row]]:
    columns = config.data.columns
    parser = RowParser(task, columns, labels, problems, readings, config.data.long_texts == "cut")
    wanted = wanted_columns(task, columns, labels)
    for row in read_rows(_source(config, name), config.data.folder, wanted, problems):
        if parsed := parser.parse(row):
            yield *parsed, row


def _pool_census(config: CampaignConfig, task: Task, columnar_bytes: int) -> tuple[Census | ColumnCensus, Problems]:
    problems, use = Problems(), label_use(config, "pool")
    try:
        if column_survey.is_columnar(config, task, use, columnar_bytes):
            if census := column_survey.gather(config, task, use, problems):
                return census, problems
            problems = Problems()
    except ActiveLoRAError as error:  # a source that is not there: the other one is still read
        problems.add(error)
        return Census(task, problems), problems
    return _census(config, task, "pool", problems), problems


def _census(
    config: CampaignConfig, task: Task, name: SourceName, problems: Problems, use: LabelUse | None = None
) -> Census:
    column, use = config.data.columns.label, use or label_use(config, name)
    census = Census(task, problems, config.data.contradictions == "drop", config.data.label_numbers)
    rows = _rows(config, task, name, use, problems, census.readings)
    try:
        for item, label, row in track(rows, f"reading the {name}", None):
            census.add(item, label, row)
            if isinstance(label, int | str) and task.is_rounded(row.values.get(column or "")):
                census.num_rounded += 1
    except ProblemsError:
        raise
    except ActiveLoRAError as error:  # a source that is not there: the other one is still read
        problems.add(error)
    census.settle(needs_label=use in ("required", "or_left_out"))
    return census


def _limited(config: CampaignConfig, name: SourceName, census: Census, ids: Collection[str]) -> Collection[str]:
    """Return as many items as the source's ``limit`` allows, drawn at random: those with a label before the others."""
    limit = _source(config, name).limit
    if limit is None:
        return ids
    seed, labeled = derive_seed(config.seed, "ingest_pool", "limit", name), census.labeled(ids)
    chosen = draw(labeled, limit, seed)
    return [*chosen, *draw((one for one in ids if one not in labeled), limit - len(chosen), seed)]


def _split_pool(config: CampaignConfig, task: Task, pool: Census) -> tuple[Ids, Ids, Ids]:
    """Return the ids of pool, holdout and calibration, the latter two drawn from the pool's labelled items."""
    data = config.data
    ids = _limited(config, "pool", pool, list(pool))
    labels = pool.labeled(ids)
    if config.known_labels == "holdout":
        return _hold_out_known(config, task, ids, labels)
    needed = data.holdout_size + data.calibration_size
    if needed > len(labels) or needed >= len(ids):
        raise too_few(config, len(ids), len(labels))
    holdout = _split_off(config, task, labels, data.holdout_size, "holdout")
    rest = {item_id: label for item_id, label in labels.items() if item_id not in holdout}
    calibration = _draw_calibration(config, task, rest)
    return frozenset(ids) - holdout - calibration, holdout, calibration


def _hold_out_known(
    config: CampaignConfig, task: Task, ids: Collection[str], labels: Mapping[str, Label]
) -> tuple[Ids, Ids, Ids]:
    """Return the ids of pool, holdout and calibration where all labelled items measure the result."""
    if config.data.calibration_size >= len(labels) or len(labels) >= len(ids):
        raise DataError(
            f"{len(labels)} of the pool's {len(ids)} different items have a label: as the holdout, with a calibration "
            f"split of {config.data.calibration_size}, they leave no holdout or no pool",
            where="data.known_labels: holdout",
            remedy="Give more rows with a label, or without one, or lower `data.calibration_size`.",
        )
    calibration = _draw_calibration(config, task, labels)
    held_out = frozenset(labels)
    return frozenset(ids) - held_out, held_out - calibration, calibration


def _split_holdout(config: CampaignConfig, task: Task, labeled: Census) -> tuple[Ids, Ids]:
    """Return the ids of holdout and calibration from the given holdout source."""
    labels = labeled.labeled(_limited(config, "holdout", labeled, list(labeled)))
    size = config.data.calibration_size
    if size >= len(labels):
        raise DataError(
            f"a calibration split of {size} leaves no holdout of its {len(labels)} different items",
            where=_source(config, "holdout").path,
            remedy="Lower `data.calibration_size` or give more labelled rows.",
        )
    calibration = _draw_calibration(config, task, labels)
    return frozenset(labels) - calibration, calibration


def _draw_calibration(config: CampaignConfig, task: Task, labels: Mapping[str, Any]) -> Ids:
    return _split_off(config, task, labels, config.data.calibration_size, "calibration")


def _split_off(config: CampaignConfig, task: Task, labels: Mapping[str, Any], size: int, name: str) -> Ids:
    """Draw a split, stratified by label where labels are few: of nearly as many as items, none has a share."""
    seed = derive_seed(config.seed, "ingest_pool", name)
    if task.kind.draws_by_label:
        return stratified(labels, size, seed)
    return frozenset(draw(labels, size, seed))


def _without_overlap(config: CampaignConfig, pool: Census, held_out: Ids) -> tuple[Ids, int]:
    """Return the pool's ids without those of a given holdout, and how many were taken out."""
    left = [item_id for item_id in pool if item_id not in held_out]
    if not left:
        raise nothing_left(config, len(pool))
    return frozenset(_limited(config, "pool", pool, left)), len(pool) - len(left)


def _contradictions(pool: Census | ColumnCensus, labeled: Census | ColumnCensus) -> Iterator[str]:
    for source, census in {"data.pool": pool, "data.holdout": labeled}.items():
        if census.num_contradictions and (source == "data.pool" or labeled is not pool):
            yield f"{source}: items left out because their rows carry different labels: {census.num_contradictions}"


def _warnings(
    config: CampaignConfig,
    task: Task,
    pool: Census | ColumnCensus,
    labeled: Census | ColumnCensus,
    holdout_ids: Ids,
) -> Iterator[str]:
    counts = labeled.label_counts(holdout_ids)
    yield from pool.readings.warnings("data.pool")
    if labeled is not pool:
        yield from labeled.readings.warnings("data.holdout")
    if len(counts) < 2:
        yield "every holdout item has the same label: accuracy and calibration will say little"
    for source, census in {"pool": pool, "holdout": labeled}.items():
        if census.num_rounded and (source == "pool" or labeled is not pool):
            yield (
                f"{census.num_rounded} labels of the {source} lie between two steps of {config.task.step:g} and were "
                "rounded to the nearest"
            )
    if missing := task.missing_labels(counts):
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        yield f"no holdout item has the label {', '.join(missing[:10])}{more}: how well it is learned stays unknown"
