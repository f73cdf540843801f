"""The labels of drawn rows, read back and checked against their draw, and what they tell of the whole table.

Letters: N rows, M draws, C answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from activelora.errors import DataError, ModelError
from activelora.evaluation import lure
from activelora.evaluation.classification_metrics import FloatArray, IntArray, item_brier, item_nll, predicted_labels
from activelora.evaluation.lure import TableMeans
from activelora.formats.problems import Problems
from activelora.formats.row import Row, Wanted
from activelora.kinds.registry import make_task
from activelora.pool.content import RowParser, content_columns
from activelora.pool.label_readings import LabelReadings
from activelora.prediction.bundle import Bundle
from activelora.prediction.drawn import (
    DRAW_COLUMN,
    ID_COLUMN,
    MIN_LABELS,
    Draw,
    draw_path,
    refuse_kind,
)
from activelora.prediction.inputs import LostRows, TableSource
from activelora.prediction.table import check_columns
from activelora.quantities import quantity
from activelora.tasks.task import Task
from activelora.tasks.written import whole_number
from activelora.uncertainty.measures import entropy

MIN_INTERVAL_LABELS = {"brier": 100, "nll": 200}
"""Fewer labels give no interval of these: rare large losses decide them, and few labels show none."""


@dataclass(frozen=True)
class Interval:
    """An estimate over the whole table.

    Attributes:
        value: The estimate.
        low: Lower end of its interval; None where too few labels are known.
        high: Upper end.
        expected: What the model expected before any label was known.
    """

    value: float
    low: float | None
    high: float | None
    expected: float


@dataclass(frozen=True)
class TableEstimate:
    """What the labels of drawn rows tell of the table.

    Attributes:
        num_rows: N.
        num_drawn: M.
        num_used: Labels that the estimate rests on: those before the first draw without one.
        num_unused: Labels of later draws, which are left out.
        level: Confidence level of the intervals.
        metrics: ``accuracy``, ``nll`` (nats) and ``brier``, with the probabilities that `predict` writes.
        shares: Each label's share of the table, by name; empty where items have choices of their own.
    """

    num_rows: int
    num_drawn: int
    num_used: int
    num_unused: int
    level: float
    metrics: Mapping[str, Interval]
    shares: Mapping[str, Interval]


def estimate_table(bundle: Bundle, rows: str, table: str | None = None) -> TableEstimate:
    """Return what the labels in a file of drawn rows tell of the table that they were drawn of.

    Args:
        bundle: The model that drew.
        rows: The file; in whatever order its rows are.
        table: The table, to check that it is still the same; None does not look.

    Raises:
        DataError: The draw is missing or does not fit, or too few labels are known.
        ProblemsError: A row cannot be read, or its label is none of the task's.
        ModelError: Another model drew.
    """
    task = make_task(bundle.config.task)
    refuse_kind(task, str(bundle.provenance.get("campaign") or bundle.folder))
    if "://" in rows:
        raise DataError("only local files are read back", where=rows, remedy="Copy it and its draw here.")
    draw = Draw.read(draw_path(Path(rows)))
    _check_model(bundle, draw)
    if table is not None and TableSource(table).digest() != draw.table:
        problem = f"the rows were drawn of another table, or of another version of it ({draw.table_name})"
        raise DataError(problem, where=table, remedy="Name the table that they were drawn of.")
    labels = read_labels(bundle, task, rows, draw)
    num_used = next((number for number in range(len(draw.drawn)) if number not in labels), len(draw.drawn))
    if num_used < MIN_LABELS:
        problem = f"{quantity(num_used, 'draw')} from the first on {'has a label' if num_used == 1 else 'have labels'}"
        remedy = f"Label the rows in the order of `{DRAW_COLUMN}`, at least {MIN_LABELS} of them without a gap."
        raise DataError(problem, where=f"{rows}, column `{draw.label_column}`", remedy=remedy)
    labels_M = np.array([labels[number] for number in range(num_used)], dtype=np.int64)
    return estimates(draw, labels_M, len(labels) - num_used, bundle.config.evaluation.confidence_level)


def _check_model(bundle: Bundle, draw: Draw) -> None:
    if bundle.digest == draw.model:
        return
    where = str(bundle.provenance.get("campaign") or bundle.folder)
    if bundle.round != draw.round:
        problem = f"the rows were drawn for the model of round {draw.round}, and this is that of round {bundle.round}"
        raise ModelError(problem, where=where, remedy=f"Of a campaign, say --round {draw.round}.")
    raise ModelError("the rows were drawn for another model", where=where, remedy="Name the model that drew them.")


def read_labels(bundle: Bundle, task: Task, rows: str, draw: Draw) -> dict[int, int]:
    """Return the labels that are known, by the number of the draw from 0.

    Args:
        bundle: The model.
        task: Its task.
        rows: The file of drawn rows.
        draw: Their draw.

    Raises:
        DataError: Rows are missing, twice there, others, or not as they were drawn.
        ProblemsError: A row cannot be read, or its label is none of the task's.
    """
    columns = bundle.config.data.columns.model_copy(update={"id": None, "label": draw.label_column})
    problems, lost = Problems(), LostRows()
    readings = LabelReadings(task, bundle.config.data.label_numbers)
    cuts = bundle.config.data.long_texts == "cut"
    parser = RowParser(task, columns, "optional", problems, readings, cuts_long_texts=cuts)
    wanted = Wanted((*content_columns(task, columns), draw.label_column, DRAW_COLUMN, ID_COLUMN))
    labels, seen = dict[int, int](), dict[int, Row]()
    for row in TableSource(rows).rows(wanted, lost):
        check_columns(row, wanted)
        number = _number(row, draw, seen)
        seen[number] = row
        if (parsed := parser.parse(row)) is None:
            continue
        item, label = parsed
        if item.item_id != draw.drawn[number].item_id:
            problem = f"the text of draw {number + 1} was changed after it was drawn"
            raise DataError(problem, where=row.where, remedy="Restore it: the model has answered the other one.")
        if isinstance(label, int):
            labels[number] = label
    lost.refuse()
    problems.refuse()
    if missing := [number + 1 for number in range(len(draw.drawn)) if number not in seen]:
        shown = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        problem = f"{quantity(len(missing), 'drawn row is', 'drawn rows are')} not in the file: `{DRAW_COLUMN}` {shown}"
        remedy = "Put them back. Rows that nobody can label are left with an empty label: leaving some out biases."
        raise DataError(problem, where=rows, remedy=remedy)
    return labels


def _number(row: Row, draw: Draw, seen: Mapping[int, Row]) -> int:
    """Return which draw a row is, from 0.

    Raises:
        DataError: It is none, or another row is it too.
    """
    number = whole_number(row.values[DRAW_COLUMN])
    if number is None or not 1 <= number <= len(draw.drawn):
        problem = f"column `{DRAW_COLUMN}` holds {row.values[DRAW_COLUMN]!r}, expected 1 to {len(draw.drawn)}"
        raise DataError(problem, where=row.where, remedy="Remove rows that were not drawn, and restore those numbers.")
    if (other := seen.get(number - 1)) is not None:
        problem = f"draw {number} is there twice, here and at {other.where}"
        raise DataError(problem, where=row.where, remedy="Remove one of the two rows.")
    if str(row.values[ID_COLUMN]).strip() != draw.drawn[number - 1].item_id:
        problem = f"draw {number} is item {draw.drawn[number - 1].item_id}, and the row says {row.values[ID_COLUMN]!r}"
        remedy = f"The columns `{DRAW_COLUMN}` and `{ID_COLUMN}` were changed, or the file belongs to another draw."
        raise DataError(problem, where=row.where, remedy=remedy)
    return number - 1


def estimates(draw: Draw, labels_M: IntArray, num_unused: int, level: float) -> TableEstimate:
    """Return the estimates of the first M draws' labels.

    Args:
        draw: The draw.
        labels_M: Labels of the first M draws, indices of answers.
        num_unused: Labels of later draws.
        level: Confidence level of the intervals.
    """
    probs_MC = np.array([one.probs for one in draw.drawn[: len(labels_M)]], dtype=np.float64)
    q_M = np.array([one.probability for one in draw.drawn[: len(labels_M)]])
    wrong_M = (predicted_labels(probs_MC) != labels_M).astype(np.float64)

    def share(truth_M: FloatArray, expected_M: FloatArray, means: TableMeans) -> Interval:
        found = lure.estimate(truth_M, expected_M, means.mean, q_M, draw.num_rows)
        low, high = lure.share_interval(found, means, int(truth_M.sum()), level)
        return Interval(min(max(found.value, 0.0), 1.0), low, high, means.mean)

    def loss(name: str, truth_M: FloatArray, expected_M: FloatArray, mean: float) -> Interval:
        found = lure.estimate(truth_M, expected_M, mean, q_M, draw.num_rows)
        has_interval = len(labels_M) >= MIN_INTERVAL_LABELS[name] or len(labels_M) == draw.num_rows
        low, high = lure.t_interval(found, level) if has_interval else (None, None)
        return Interval(found.value, low, high, mean)

    expected = draw.expected
    error = share(wrong_M, 1.0 - probs_MC.max(axis=1), expected.error)
    metrics = {
        "accuracy": _complement(error),
        "nll": loss("nll", item_nll(probs_MC, labels_M), entropy(probs_MC), expected.nll),
        "brier": loss("brier", item_brier(probs_MC, labels_M), 1.0 - (probs_MC**2).sum(axis=1), expected.brier),
    }
    shares = {
        name: share((labels_M == c).astype(np.float64), probs_MC[:, c], means)
        for c, (name, means) in enumerate(expected.labels.items())
    }
    return TableEstimate(draw.num_rows, len(draw.drawn), len(labels_M), num_unused, level, metrics, shares)


def _complement(found: Interval) -> Interval:
    low, high = (None if end is None else 1.0 - end for end in (found.high, found.low))
    return Interval(1.0 - found.value, low, high, 1.0 - found.expected)
