"""Rows of an unlabelled table drawn for people to label, so that they tell what a model is worth on all of it.

The model answers every row; :mod:`activelora.evaluation.weighted_draws` draws. The drawn rows are written with an empty
column of labels, and their draw (:mod:`activelora.prediction.drawn`) beside them. Letters: N rows, M draws, C answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from activelora.campaign.records import Item
from activelora.campaign.store import open_store
from activelora.errors import DataError
from activelora.evaluation import weighted_draws
from activelora.evaluation.classification_metrics import FloatArray
from activelora.formats.problems import Problems
from activelora.formats.row import Row
from activelora.kinds.registry import make_task
from activelora.prediction.answers import scaled
from activelora.prediction.bundle import Bundle
from activelora.prediction.drawn import (
    DRAW_COLUMN,
    ID_COLUMN,
    MIN_LABELS,
    Draw,
    DrawnRow,
    draw_path,
    expectations,
    refuse_kind,
)
from activelora.prediction.inputs import LostRows, TableSource, chunks_of
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.resuming import locked, publish
from activelora.prediction.table import check_columns, items_of
from activelora.prediction.targets import Target
from activelora.prediction.writers import open_writer


@dataclass(frozen=True)
class DrawJob:
    """What is to be drawn.

    Attributes:
        budget: M.
        out: Target of the drawn rows.
        label: The label's column; None is the campaign's.
        num_samples: Posterior samples; None as the evaluation.
        seed: Seed of the draws; None is the campaign's.
    """

    budget: int
    out: Target
    label: str | None = None
    num_samples: int | None = None
    seed: int | None = None

    def label_column(self, bundle: Bundle) -> str:
        """Return the label's column.

        Raises:
            DataError: Neither names one.
        """
        column = bundle.config.data.columns.label if self.label is None else self.label
        if column is None:
            raise DataError("no column of labels is named", where=self.out.name, remedy="Name it with --label COLUMN.")
        return column

    def check(self) -> Path:
        """Return where the rows go.

        Raises:
            DataError: They cannot be written there, or the budget is too small.
        """
        if self.budget < MIN_LABELS:
            problem = f"{self.budget} labels are no estimate"
            raise DataError(problem, where="--budget", remedy=f"Draw {MIN_LABELS} or more.")
        if self.out.path is None or self.out.is_packed:
            remedy = "Name a .csv, .tsv, .jsonl, .xlsx or .parquet."
            raise DataError("drawn rows need a plain file: their draw lies beside it", where="--out", remedy=remedy)
        self.out.check_free(overwrite=True)
        for path in (self.out.path, draw_path(self.out.path)):
            if path.exists():
                remedy = "Name another file: labels that people gave are never overwritten."
                raise DataError("is there already", where=str(path), remedy=remedy)
        return self.out.path


@dataclass(frozen=True)
class Drawn:
    """What was done.

    Attributes:
        draw: The draw.
        num_labels_left_out: Drawn rows that have a label in the table already, which is left out of what is written.
    """

    draw: Draw
    num_labels_left_out: int


def draw_rows(bundle: Bundle, source: TableSource, job: DrawJob, on_ids: Callable[[frozenset[str]], None]) -> Drawn:
    """Let a model answer a table, draw rows of it, and write them and their draw.

    The table is read three times: to check it, to answer it, and for the rows that were drawn. Memory holds the
    probabilities of all rows, 8·N·C bytes, and the text of one chunk and of the drawn rows.

    Args:
        bundle: The model.
        source: The table; no pipe.
        job: What is to be drawn.
        on_ids: Called with the ids of all items of the table before the model is loaded.

    Raises:
        ProblemsError: Rows cannot be read or asked about.
        DataError: The table is too small, has a column of ours, or nothing can be written.
        ModelError: The task is of a kind that cannot be measured so.
    """
    task = make_task(bundle.config.task)
    refuse_kind(task, str(bundle.provenance.get("campaign") or bundle.folder))
    label_column, path = job.label_column(bundle), job.check()
    if source.is_pipe:
        raise DataError("the table is read more than once, which no pipe can be", where=source.name)
    digest, ids = source.digest(), _checked_ids(bundle, source, label_column)
    if job.budget > len(ids):
        problem = f"{job.budget:,} rows cannot be drawn of {len(ids):,}"
        raise DataError(problem, where=f"--budget, {source.name}", remedy="Label all of them, or name a larger table.")
    on_ids(frozenset(ids))
    with locked(job.out):
        probs_NC = _probabilities(bundle, source, job.num_samples)
        scores_N = weighted_draws.scores(1.0 - probs_NC.max(axis=1))
        seed = bundle.config.seed if job.seed is None else job.seed
        found = weighted_draws.draw(scores_N, job.budget, weighted_draws.UNIFORM_SHARE, seed)
        first_N = weighted_draws.first_probabilities(scores_N, weighted_draws.UNIFORM_SHARE)
        draw = Draw(
            model=bundle.digest,
            round=bundle.round,
            table=digest,
            table_name=source.name,
            num_rows=len(ids),
            label_column=label_column,
            uniform_share=weighted_draws.UNIFORM_SHARE,
            seed=seed,
            expected=expectations(probs_NC, first_N, task.label_names),
            drawn=[
                DrawnRow(ids[row], row, probability, probs_NC[row].tolist())
                for row, probability in zip(found.rows_M.tolist(), found.probability_M.tolist(), strict=True)
            ],
        )
        rows = _drawn_rows(bundle, source, draw)
        num_left_out = sum(row.get(label_column) not in (None, "") for row in rows)
        _write(job.out, draw, rows)
        # Before the rows, which nobody can use without it.
        open_store(str(path.parent)).write(draw_path(path).name, draw.as_bytes())
        publish(job.out)
    return Drawn(draw, num_left_out)


def _items(bundle: Bundle, source: TableSource) -> Iterator[list[tuple[Row, Item]]]:
    """Yield rows with their items, chunk by chunk.

    Raises:
        ProblemsError: Rows cannot be read or asked about.
    """
    lost, problems, maker = LostRows(), Problems(), items_of(bundle)
    for number, chunk in enumerate(chunks_of(source.rows(maker.wanted, lost))):
        if number == 0:
            check_columns(chunk[0], maker.wanted)
        pairs = []
        for row, item in zip(chunk, maker.items(chunk), strict=True):
            if isinstance(item, Item):
                pairs.append((row, item))
            else:
                problems.add(item)
        yield pairs
    lost.refuse()
    problems.refuse()


def _checked_ids(bundle: Bundle, source: TableSource, label_column: str) -> list[str]:
    """Return the ids of all rows, in their order.

    Raises:
        ProblemsError: Rows cannot be read or asked about.
        DataError: There are none, or they have a column that is ours.
    """
    ids: list[str] = []
    for pairs in _items(bundle, source):
        taken = {name for row, _ in pairs for name in (DRAW_COLUMN, ID_COLUMN) if name in row.values}
        taken |= {label_column} & {DRAW_COLUMN, ID_COLUMN}
        if taken:
            problem = f"column `{min(taken)}` is written with the drawn rows, and is in the table already"
            raise DataError(problem, where=source.name, remedy="Rename it.")
        ids += [item.item_id for _, item in pairs]
    if not ids:
        raise DataError("there are no rows", where=source.name)
    return ids


def _probabilities(bundle: Bundle, source: TableSource, num_samples: int | None) -> FloatArray:
    """Return probs_NC at the temperature, padded with zeros."""
    found: list[FloatArray] = []
    with LoadedModel.load(bundle, num_samples) as model:
        for pairs in _items(bundle, source):
            log_probs_NC = model.log_probs([item for _, item in pairs], "answering the table")
            found.append(scaled(model.task, log_probs_NC, bundle.readings.scale))
    width = max(probs_NC.shape[1] for probs_NC in found)
    return np.concatenate([np.pad(one, ((0, 0), (0, width - one.shape[1]))) for one in found])


def _drawn_rows(bundle: Bundle, source: TableSource, draw: Draw) -> list[dict[str, Any]]:
    """Return the drawn rows' values, in the order of drawing.

    Raises:
        DataError: The table is another one by now.
    """
    order = {one.row: number for number, one in enumerate(draw.drawn)}
    found: dict[int, dict[str, Any]] = {}
    index = 0
    for pairs in _items(bundle, source):
        for row, item in pairs:
            number = order.get(index)
            index += 1
            if number is not None and item.item_id == draw.drawn[number].item_id:
                found[number] = row.values
    if len(found) != len(order):
        raise DataError("the table changed while it was read", where=source.name, remedy="Draw again.")
    return [found[number] for number in range(len(order))]


def _write(target: Target, draw: Draw, rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys([*(str(name) for row in rows for name in row), draw.label_column]))
    writer = open_writer(target, [*columns, DRAW_COLUMN, ID_COLUMN], ())
    try:
        writer.write(
            [
                {**row, draw.label_column: None, DRAW_COLUMN: number, ID_COLUMN: one.item_id}
                for number, (row, one) in enumerate(zip(rows, draw.drawn, strict=True), 1)
            ]
        )
        writer.finish()
    finally:
        writer.close()
