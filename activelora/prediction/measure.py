"""A model measured on a labelled table that no choice of its campaign has seen.

The holdout decides when a campaign ends and which round becomes champion, so that the champion's number on it is a
little better than the truth. Letters: N items.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from activelora.campaign.campaign import Campaign
from activelora.campaign.labels import label_snapshot
from activelora.campaign.ledger import finished_units
from activelora.campaign.records import Item, Label
from activelora.config.campaign import SourceConfig
from activelora.errors import DataError, ModelError
from activelora.evaluation.evaluation import flat_metrics
from activelora.formats.problems import Problems
from activelora.kinds.registry import settings_of
from activelora.pool import access
from activelora.pool.census import Census
from activelora.pool.content import RowParser, wanted_columns
from activelora.pool.readers import read_rows
from activelora.prediction.bundle import Bundle
from activelora.prediction.loaded import LoadedModel
from activelora.progress import track
from activelora.tasks.task import Task


@dataclass(frozen=True)
class Rows:
    """Labelled items of a table.

    Attributes:
        items: N items, ordered by id.
        labels: Their labels.
        num_left_out: Rows without a label that can be used.
    """

    items: list[Item]
    labels: list[Label]
    num_left_out: int


@dataclass(frozen=True)
class Measured:
    """What a table says of a model.

    Attributes:
        num_items: N different items with a label.
        num_left_out: Rows without a label that can be used.
        metrics: Metric to value, with the ends of its interval as ``NAME_low`` and ``NAME_high``.
        scaled: The metrics that the temperature changes, with it; None where none was fitted.
        level: Confidence level of the intervals.
    """

    num_items: int
    num_left_out: int
    metrics: dict[str, float]
    scaled: dict[str, float] | None
    level: float


def read_labelled(bundle: Bundle, task: Task, table: str, label: str | None = None) -> Rows:
    """Read a table's items and labels, by the columns and the meaning of labels that the campaign has.

    Args:
        bundle: The model, whose settings name the columns.
        task: Its task.
        table: A file, a folder, a glob or an ``s3://`` URI.
        label: The label's column; None is the campaign's.

    Raises:
        ProblemsError: Rows that cannot be read, or are no item or label of the task.
        DataError: No row has a label.
    """
    columns = bundle.config.data.columns.model_copy(update={"id": None} | ({} if label is None else {"label": label}))
    if columns.label is None:
        raise DataError("no column of labels is named", where=table, remedy="Name it with --label COLUMN.")
    problems = Problems()
    census = Census(task, problems, bundle.config.data.contradictions == "drop", bundle.config.data.label_numbers)
    cuts = bundle.config.data.long_texts == "cut"
    parser = RowParser(task, columns, "or_left_out", problems, census.readings, cuts_long_texts=cuts)
    wanted = wanted_columns(task, columns, "or_left_out")
    items: dict[str, Item] = {}
    for row in track(read_rows(SourceConfig(path=table), ".", wanted, problems), "reading the table", None):
        if (parsed := parser.parse(row)) is not None:
            census.add(*parsed, row)
            items.setdefault(parsed[0].item_id, parsed[0])
    census.settle(needs_label=True)
    problems.refuse()
    labels = census.labeled(items)
    if not labels:
        raise DataError(f"no row has a label in column `{columns.label}`", where=table, remedy="Name it with --label.")
    ids = sorted(labels)
    return Rows([items[one] for one in ids], [labels[one] for one in ids], census.readings.num_left_out)


def measure(model: LoadedModel, rows: Rows) -> Measured:
    """Return what a model is worth on labelled items, as an evaluation measures it on the holdout.

    Args:
        model: The model.
        rows: Labelled items.

    Raises:
        ModelError: The task's answers are written, and have no distribution.
    """
    task = model.task
    refuse_written(task, str(model.bundle.folder))
    labels_N = np.array(rows.labels)
    judge, log_probs_NC = task.kind.judge_of(task), model.log_probs(rows.items, "measuring")
    settings = settings_of(model.bundle.config)
    found = flat_metrics(judge.evaluate(log_probs_NC, labels_N, settings))
    fitted, scaled = model.bundle.readings.temperature, None
    if fitted is not None:
        scaled = judge.evaluate_scaled(log_probs_NC, labels_N, float(fitted["value"]), settings)["metrics"]
    return Measured(len(rows.items), rows.num_left_out, found, scaled, settings.level)


def refuse_written(task: Task, where: str) -> None:
    """Refuse tasks whose answers the model writes: see :func:`measure`."""
    if task.kind.writes:
        raise ModelError(
            f"answers of a `{task.kind.name}` task are written, and are not measured on a table of their own yet",
            where=where,
            remedy="Use `activelora predict`, and compare its column with yours.",
        )


def seen_before(campaign: Campaign, ids: Set[str]) -> tuple[int, int]:
    """Return how many items a campaign has trained on, and on how many others it was measured or scaled."""
    rounds = [unit.round for unit in finished_units(campaign) if unit.step == "await_labels"]
    trained = set(label_snapshot(campaign, max(rounds, default=-1) + 1).labels)
    measured = {item.item_id for items, _ in (access.holdout(campaign), access.calibration(campaign)) for item in items}
    return len(ids & trained), len((ids - trained) & measured)
