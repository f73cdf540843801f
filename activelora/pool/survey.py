"""The plan of a pool: which items it has, and which of them measure the result. Nothing is written here.

Every source is read once for its ids and labels (:mod:`activelora.pool.census`), the splits are drawn, and
:func:`stream_items` reads the texts when they are needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from activelora.campaign.records import Item
from activelora.config import CampaignConfig, SourceConfig
from activelora.errors import ActiveLoRAError, DataError, ProblemsError
from activelora.pool.census import Census
from activelora.pool.content import LabelUse, RowParser, wanted_columns
from activelora.pool.formats import Row
from activelora.pool.problems import Problems
from activelora.pool.readers import read_rows
from activelora.pool.split import draw, stratified
from activelora.progress import track
from activelora.seeding import derive_seed
from activelora.tasks.registry import make_task

SourceName = Literal["pool", "holdout"]
Ids = frozenset[str]


@dataclass(frozen=True)
class Survey:
    """Which item goes where. The three sets of ids share none.

    Attributes:
        pool_ids: The unlabelled pool.
        holdout_ids: Measured on.
        calibration_ids: For temperature scaling; empty if left out.
        pool: Census of the pool's source.
        labeled: Census of the source that holdout and calibration come from; the pool's, if none is given.
        num_overlap: Items taken out of the pool because a given holdout has them too.
        warnings: What is allowed but looks wrong, in words.
    """

    pool_ids: Ids
    holdout_ids: Ids
    calibration_ids: Ids
    pool: Census
    labeled: Census
    num_overlap: int
    warnings: tuple[str, ...]

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


def survey_data(config: CampaignConfig) -> Survey:
    """Read all sources once and draw the splits.

    A given holdout is split into holdout and calibration; its items are taken out of the pool. Without one, both are
    drawn from the pool's labelled items, stratified. ``limit`` applies to the pool after a given holdout's items are
    gone, and before holdout and calibration are drawn from it.

    Raises:
        ProblemsError: Everything that is wrong with the data, as far as it can be seen at once.
    """
    problems = Problems()
    pool = _census(config, "pool", problems)
    labeled = pool if config.data.holdout is None else _census(config, "holdout", problems)
    problems.refuse()
    try:
        if labeled is pool:
            pool_ids, holdout_ids, calibration_ids = _split_pool(config, pool)
            num_overlap = 0
        else:
            holdout_ids, calibration_ids = _split_holdout(config, labeled)
            pool_ids, num_overlap = _without_overlap(config, pool, holdout_ids | calibration_ids)
    except DataError as error:
        raise ProblemsError([error]) from None
    warnings = (*_contradictions(pool, labeled), *_warnings(config, labeled, holdout_ids))
    return Survey(pool_ids, holdout_ids, calibration_ids, pool, labeled, num_overlap, warnings)


def stream_items(config: CampaignConfig, name: SourceName, ids: Ids, num_rows: int) -> Iterator[Item]:
    """Read a source again and yield the items with these ids, each once, in the order of the source.

    Args:
        config: The campaign's settings.
        name: Which source.
        ids: The items wanted.
        num_rows: Rows of the source, for the progress shown.

    Raises:
        DataError: The source has changed since it was surveyed.
    """
    problems = Problems()
    left = set(ids)
    rows = _rows(config, name, "ignored", problems)
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


def label_use(config: CampaignConfig, name: SourceName) -> LabelUse:
    """Return how a source's gold labels are used.

    The oracle needs every pool item's label. Another label source reads the pool's labels only to draw a holdout from
    the items that have one; with a holdout given it never looks at them.
    """
    if name == "holdout" or config.labeling.source == "oracle":
        return "required"
    return "optional" if config.data.holdout is None else "ignored"


def named_counts(config: CampaignConfig, counts: Mapping[int, int]) -> dict[str, int]:
    """Return label counts by the label's name; for multiple choice, by the answer's number from 0."""
    names = make_task(config.task).label_names
    return {names[label] if names else str(label): count for label, count in counts.items()}


def _source(config: CampaignConfig, name: SourceName) -> SourceConfig:
    source = config.data.pool if name == "pool" else config.data.holdout
    assert source is not None, "callers ask for the holdout's source only where one is given"  # noqa: S101
    return source


def _rows(
    config: CampaignConfig, name: SourceName, labels: LabelUse, problems: Problems
) -> Iterator[tuple[Item, int | None, Row]]:
    task = make_task(config.task)
    columns = config.data.columns
    parser = RowParser(task, columns, labels, problems)
    wanted = wanted_columns(task, columns, labels)
    for row in read_rows(_source(config, name), config.data.folder, wanted, problems):
        if parsed := parser.parse(row):
            yield *parsed, row


def _census(config: CampaignConfig, name: SourceName, problems: Problems) -> Census:
    census = Census(make_task(config.task), problems, config.data.contradictions == "drop")
    rows = _rows(config, name, label_use(config, name), problems)
    try:
        for item, label, row in track(rows, f"reading the {name}", None):
            census.add(item, label, row)
    except ProblemsError:
        raise
    except ActiveLoRAError as error:  # a source that is not there: the other one is still read
        problems.add(error)
    return census


def _limited(config: CampaignConfig, name: SourceName, ids: Collection[str]) -> Collection[str]:
    limit = _source(config, name).limit
    return ids if limit is None else draw(ids, limit, derive_seed(config.seed, "ingest_pool", "limit", name))


def _split_pool(config: CampaignConfig, pool: Census) -> tuple[Ids, Ids, Ids]:
    """Return the ids of pool, holdout and calibration, the latter two drawn from the pool's labelled items."""
    data = config.data
    ids = _limited(config, "pool", list(pool))
    labels = pool.labeled(ids)
    needed = data.holdout_size + data.calibration_size
    if needed > len(labels) or needed >= len(ids):
        raise DataError(
            f"{len(ids)} different items, {len(labels)} of them with a label, are too few to split off a holdout of "
            f"{data.holdout_size} and a calibration split of {data.calibration_size} and leave a pool",
            where=data.pool.path,
            remedy="Give labelled rows as `data.holdout`, or lower `data.holdout_size` or `data.calibration_size`.",
        )
    holdout = stratified(labels, data.holdout_size, derive_seed(config.seed, "ingest_pool", "holdout"))
    rest = {item_id: label for item_id, label in labels.items() if item_id not in holdout}
    calibration = _draw_calibration(config, rest)
    return frozenset(ids) - holdout - calibration, holdout, calibration


def _split_holdout(config: CampaignConfig, labeled: Census) -> tuple[Ids, Ids]:
    """Return the ids of holdout and calibration from the given holdout source."""
    labels = labeled.labeled(_limited(config, "holdout", list(labeled)))
    size = config.data.calibration_size
    if size >= len(labels):
        raise DataError(
            f"a calibration split of {size} leaves no holdout of its {len(labels)} different items",
            where=_source(config, "holdout").path,
            remedy="Lower `data.calibration_size` or give more labelled rows.",
        )
    calibration = _draw_calibration(config, labels)
    return frozenset(labels) - calibration, calibration


def _draw_calibration(config: CampaignConfig, labels: Mapping[str, int]) -> Ids:
    seed = derive_seed(config.seed, "ingest_pool", "calibration")
    return stratified(labels, config.data.calibration_size, seed)


def _without_overlap(config: CampaignConfig, pool: Census, held_out: Ids) -> tuple[Ids, int]:
    """Return the pool's ids without those of a given holdout, and how many were taken out."""
    left = [item_id for item_id in pool if item_id not in held_out]
    if not left:
        raise DataError(
            f"nothing is left in the pool: all of its {len(pool)} different items are in the holdout too",
            where=config.data.pool.path,
            remedy="Give `data.pool` other rows than `data.holdout`, or leave `data.holdout` out.",
        )
    return frozenset(_limited(config, "pool", left)), len(pool) - len(left)


def _contradictions(pool: Census, labeled: Census) -> Iterator[str]:
    for source, census in {"data.pool": pool, "data.holdout": labeled}.items():
        if census.num_contradictions and (source == "data.pool" or labeled is not pool):
            yield f"{source}: items left out because their rows carry different labels: {census.num_contradictions}"


def _warnings(config: CampaignConfig, labeled: Census, holdout_ids: Ids) -> Iterator[str]:
    counts = labeled.label_counts(holdout_ids)
    if len(counts) < 2:
        yield "every holdout item has the same label: accuracy and calibration will say little"
    names = make_task(config.task).label_names
    missing = [name for label, name in enumerate(names) if label not in counts]
    if missing:
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        yield f"no holdout item has the label {', '.join(missing[:10])}{more}: how well it is learned stays unknown"
