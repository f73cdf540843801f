"""The plan of a pool: which items it has, and which of them measure the result. Nothing is written here.

Every source is read once for its ids and labels (:mod:`activelora.pool.census`), the splits are drawn, and
:func:`stream_items` reads the texts when they are needed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Set
from dataclasses import dataclass, field, replace

from activelora.campaign.records import Item, Label
from activelora.config import CampaignConfig
from activelora.errors import ActiveLoRAError, DataError, ProblemsError
from activelora.evaluation.primary import OF_LABEL
from activelora.formats.exports.export import passed_in_words
from activelora.formats.problems import Problems
from activelora.formats.row import Row
from activelora.pool import column_survey
from activelora.pool.census import Census
from activelora.pool.column_census import ColumnCensus
from activelora.pool.content import LabelUse, RowParser, wanted_columns
from activelora.pool.known_labels import KnownLabels, known_in, num_labeled_outside
from activelora.pool.label_readings import LabelReadings
from activelora.pool.label_use import SourceName, label_use, source_of, with_known_column
from activelora.pool.partition import Ids, split_items
from activelora.pool.readers import read_rows
from activelora.pool.votes import Votes
from activelora.progress import track
from activelora.quantities import quantity
from activelora.tasks.task import Task
from activelora.tasks.written import find_label

FEW_POSITIVES = 30
"""Number of items of a label below which the interval of a metric of that label spans a fifth of its range or more."""


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
    gone, and before holdout and calibration are drawn from it; it leaves out labelled items last, and says how many.

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
    known = _known(config, task)
    try:
        pool_ids, holdout_ids, calibration_ids, num_overlap = split_items(
            config, task, pool, labeled, () if known is None else known.labels
        )
    except DataError as error:
        said = [*pool.readings.warnings("data.pool"), *problems.notes]
        problem = "; ".join([error.problem, *said])
        raise ProblemsError([DataError(problem, where=error.where, remedy=error.remedy)]) from None
    warnings = (*problems.notes, *_contradictions(pool, labeled), *_warnings(config, task, pool, labeled, holdout_ids))
    _refuse_no_positive(config, task, labeled, holdout_ids)
    if known is None and config.known_labels == "train" and config.known_labels_column is not None:
        trained = known_in(pool, pool_ids)
    else:
        trained = KnownLabels() if known is None else known.of(pool_ids)
    survey = Survey(pool_ids, holdout_ids, calibration_ids, pool, labeled, num_overlap, warnings, trained)
    return replace(survey, warnings=(*warnings, *_lost(config, survey, known)))


def _known(config: CampaignConfig, task: Task) -> KnownLabels | None:
    """Return what the pool's items are labelled with in the known labels' own column; None where there is none.

    Raises:
        ProblemsError: Something is wrong with that column.
    """
    if (other := with_known_column(config)) is None:
        return None
    problems = Problems()
    census = _census(other, task, "pool", problems, "optional")
    known = known_in(census, frozenset(census))
    if not problems and not known:
        problem = f"no row of the pool has a label in column `{config.known_labels_column}`"
        problems.add(DataError(problem, where="data.known_labels_column", remedy="Correct the name, or leave it out."))
    problems.refuse()
    return known


def _lost(config: CampaignConfig, survey: Survey, known: KnownLabels | None) -> Iterator[str]:
    """Say how many labels ``data.pool.limit`` leaves out, where they would be used."""
    if not survey.num_left_out or config.known_labels == "ignore":
        return
    held_out = survey.holdout_ids | survey.calibration_ids
    num_used = len(survey.known) if config.known_labels == "train" else 0
    if known is None:
        num_lost = num_labeled_outside(survey.pool, survey.pool_ids, held_out)
        num_used += len(survey.pool.labeled(held_out)) if survey.labeled is survey.pool else 0
    else:
        num_lost = len(known.without(held_out)) - len(survey.known)
    if num_lost:
        yield (
            f"data.pool.limit: {config.data.pool.limit} leaves out {num_lost:,} of {num_lost + num_used:,} "
            f"labelled items of the pool, drawn at random; raise it to use them all"
        )


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
            f"{quantity(len(left), 'item is', 'items are')} gone: the data changed while it was read",
            where=source_of(config, name).path,
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
    for row in read_rows(source_of(config, name), config.data.folder, wanted, problems):
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


def _contradictions(pool: Census | ColumnCensus, labeled: Census | ColumnCensus) -> Iterator[str]:
    for source, census in {"data.pool": pool, "data.holdout": labeled}.items():
        if census.num_contradictions and (source == "data.pool" or labeled is not pool):
            yield f"{source}: items left out because their rows carry different labels: {census.num_contradictions}"


def _num_positive(config: CampaignConfig, task: Task, labeled: Census | ColumnCensus, holdout_ids: Ids) -> int | None:
    """Return how many holdout items have the label that the primary metric is about; None if it is about none."""
    given = config.evaluation.positive_label
    if given is None or config.evaluation.primary not in OF_LABEL:
        return None
    positive = find_label(tuple(task.label_names), given)
    return None if positive is None else labeled.label_counts(holdout_ids).get(positive, 0)


def _refuse_no_positive(config: CampaignConfig, task: Task, labeled: Census | ColumnCensus, holdout_ids: Ids) -> None:
    if _num_positive(config, task, labeled, holdout_ids) == 0:
        settings = config.evaluation
        problem = (
            f"no holdout item has the label `{settings.positive_label}`, so `{settings.primary}` cannot be measured"
        )
        remedy = "Give a holdout with such items, a larger `data.holdout_size`, or another `evaluation.primary`."
        raise ProblemsError([DataError(problem, where=(config.data.holdout or config.data.pool).path, remedy=remedy)])


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
                f"{quantity(census.num_rounded, 'label')} of the {source} between two steps of {config.task.step:g} "
                f"{'was' if census.num_rounded == 1 else 'were'} rounded to the nearest"
            )
    num_positive = _num_positive(config, task, labeled, holdout_ids)
    if num_positive is not None and 0 < num_positive < FEW_POSITIVES:
        yield (
            f"{quantity(num_positive, 'holdout item has', 'holdout items have')} the label "
            f"`{config.evaluation.positive_label}`: with fewer than {FEW_POSITIVES}, {config.evaluation.primary} is "
            "uncertain"
        )
    if missing := task.missing_labels(counts):
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        yield f"no holdout item has the label {', '.join(missing[:10])}{more}: how well it is learned stays unknown"
