"""A whole table answered: in chunks, in constant memory, and from where an interrupted run stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from activelora import __version__
from activelora.errors import DataError, ProblemsError
from activelora.formats.problems import missing_column
from activelora.formats.row import Row, Wanted, find_column
from activelora.formats.workbook import MAX_ROWS
from activelora.kinds.registry import make_task
from activelora.prediction import inputs
from activelora.prediction.answers import Answer, answer_columns
from activelora.prediction.bundle import Bundle
from activelora.prediction.inputs import LostRows, TableSource, chunks_of
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.pace import Pace
from activelora.prediction.resuming import Progress, found_progress, locked, publish, remove_traces
from activelora.prediction.review import NO_THRESHOLDS, Thresholds
from activelora.prediction.rows import ItemMaker
from activelora.prediction.targets import Target
from activelora.prediction.writers import Writer, check_sheet_rows, open_writer

logger = logging.getLogger(__name__)
_PREFIXES = ("model_", "answer_", "activelora_")
Load = Callable[[Bundle, int | None, Thresholds], AbstractContextManager[LoadedModel]]


@dataclass(frozen=True)
class TableJob:
    """What is to be done.

    Attributes:
        out: Target of all rows.
        review: Target of the rows for review besides.
        num_samples: Posterior samples; None as the evaluation.
        thresholds: What is asked of answers that stand alone.
        probabilities: Whether each label's probability is wanted.
        prefix: What the names of the answers' columns begin with.
        overwrite: Replace what is there, and what another run has begun.
    """

    out: Target
    review: Target | None = None
    num_samples: int | None = None
    thresholds: Thresholds = NO_THRESHOLDS
    probabilities: bool = False
    prefix: str = ""
    overwrite: bool = False

    @property
    def targets(self) -> list[Target]:
        """What is written."""
        return [self.out] if self.review is None else [self.out, self.review]


@dataclass(frozen=True)
class Summary:
    """What was done.

    Attributes:
        rows: Rows that were written.
        review: How many of them are for review.
        unanswered: How many could not be answered.
        lost: Rows of the input that could not be read, which are not among them.
        first_lost: The first of those problems.
    """

    rows: int
    review: int
    unanswered: int
    lost: int
    first_lost: Sequence[Exception]


def answer_table(bundle: Bundle, source: TableSource, job: TableJob, load: Load = LoadedModel.load) -> Summary:
    """Answer all rows of a table, and write them with their answers.

    Args:
        bundle: The model.
        source: The table.
        job: What is to be done.
        load: Loads the model, after all else was checked.

    Raises:
        DataError: The table lacks columns or has one twice, or the target cannot be written.
    """
    _check_apart(job)
    for target in job.targets:
        target.check_free(overwrite=job.overwrite)
    lost = LostRows()
    items = items_of(bundle)
    chunks = chunks_of(source.rows(items.wanted, lost))
    first = next(chunks, [])
    if not first:
        lost.refuse()
        raise DataError("there are no rows", where=source.name)
    check_columns(first[0], items.wanted)
    names = answer_names(bundle, probabilities=job.probabilities, prefix=job.prefix)
    columns = all_columns(first, names)
    _check_sheets(source, items, job)
    with ExitStack() as stack:
        for target in job.targets:
            stack.enter_context(locked(target))
        progress = _begin(bundle, source, job, columns)
        model = stack.enter_context(load(bundle, job.num_samples, job.thresholds))
        logger.info("for review: %s", model.review_rule)
        work = _Work(model, job, source, progress, names)
        work.run(islice(chain([first], chunks), progress.chunks, None))
    for note in (*lost.notes, *items.notes):
        logger.warning(note)
    return Summary(progress.rows, progress.review, progress.unanswered, lost.count, tuple(lost.first))


class _Work:
    """The loop over the chunks."""

    def __init__(
        self, model: LoadedModel, job: TableJob, source: TableSource, progress: Progress, names: dict[str, str]
    ) -> None:
        self._model, self._job, self._source, self._progress, self._names = model, job, source, progress, names
        self._is_resumable = bool(progress.settings)
        self._first_problem: str | None = None
        self._pace = Pace()

    def run(self, chunks: Iterator[list[Row]]) -> None:
        job, progress = self._job, self._progress
        answers = list(self._names.values())
        marks = progress.marks or [0] * len(job.targets)
        with ExitStack() as stack:
            writers = []
            for target, mark in zip(job.targets, marks, strict=True):
                writers.append(open_writer(target, progress.columns, answers, mark))
                stack.callback(writers[-1].close)
            for chunk in chunks:
                self._answer(chunk, writers)
                if self._is_resumable:
                    progress.marks = [writer.mark() for writer in writers]
                    progress.save(job.out)
            for writer in writers:
                writer.finish()
        for target in reversed(job.targets):
            publish(target)
        if self._first_problem is not None:
            logger.warning(
                "%d rows have no answer and are for review; the first: %s", progress.unanswered, self._first_problem
            )

    def _answer(self, chunk: list[Row], writers: list[Writer]) -> None:
        progress = self._progress
        begin = progress.rows + 1
        answers = self._model.predict(
            chunk,
            probabilities=self._job.probabilities,
            strict=False,
            description=self._pace.describe(begin, begin + len(chunk) - 1, self._source.share_read()),
        )
        rows = [self._row(row, answer) for row, answer in zip(chunk, answers, strict=True)]
        writers[0].write(rows)
        for writer in writers[1:]:
            writer.write([row for row, answer in zip(rows, answers, strict=True) if answer.review])
        problems = [answer.problem for answer in answers if answer.problem is not None]
        self._first_problem = next(iter((*filter(None, [self._first_problem]), *problems)), None)
        progress.chunks += 1
        progress.rows += len(chunk)
        progress.review += sum(answer.review for answer in answers)
        progress.unanswered += len(problems)
        self._pace.add(len(chunk), progress.rows)

    def _row(self, row: Row, answer: Answer) -> dict[str, Any]:
        if self._job.out.format != "jsonl" and (new := row.values.keys() - set(self._progress.columns)):
            raise DataError(
                f"the row has a column that the rows before it lack: `{min(map(str, new))}`",
                where=row.where,
                remedy="Write .jsonl, whose rows may differ.",
            )
        found = answer.row()
        return {**row.values, **{name: found[key] for key, name in self._names.items()}}


def items_of(bundle: Bundle) -> ItemMaker:
    """Return what makes items of a model's rows, without the model."""
    return ItemMaker(bundle.config, make_task(bundle.config.task))


def _check_apart(job: TableJob) -> None:
    """Refuse two outputs of one name: rows of both would lie in one file."""
    if job.review is None:
        return
    out, review = (None if one.path is None else one.path.resolve() for one in (job.out, job.review))
    if out == review:
        problem = "--out and --review-out name the same"
        raise DataError(problem, where=job.review.name, remedy="Give the rows for review a name of their own.")


def check_columns(row: Row, wanted: Wanted) -> None:
    """Check that a table's first row has the columns that a model needs.

    Raises:
        ProblemsError: It lacks some.
    """
    missing = [name for name in wanted.missing(list(row.values)) if find_column(name, row.values) is None]
    if missing:
        raise ProblemsError([missing_column(name, row.values.keys(), row.where) for name in missing])


def answer_names(bundle: Bundle, *, probabilities: bool, prefix: str) -> dict[str, str]:
    """Return the columns of answers, and their names in the table.

    Args:
        bundle: The model.
        probabilities: Whether each label's probability is wanted.
        prefix: Text that the names begin with.
    """
    task, has_sets = make_task(bundle.config.task), bundle.readings.conformal is not None
    keys = answer_columns(task, prediction_sets=has_sets, probabilities=probabilities)
    return {key: f"{prefix}{key}" for key in keys}


def all_columns(rows: Sequence[Row], names: dict[str, str]) -> list[str]:
    """Return the columns that are written: those of the input, and the answers'.

    Args:
        rows: The first rows of the input.
        names: Names of the answers' columns, as :func:`answer_names` returns them.

    Raises:
        DataError: The input has a column that answers would be written in.
    """
    columns = list(dict.fromkeys(str(name) for row in rows for name in row.values))
    if clash := [name for name in names.values() if name in columns]:
        free = (one for one in _PREFIXES if not any(one + name in columns for name in names))
        prefix = next(free, _PREFIXES[-1])
        raise DataError(
            f"the input has columns of the answers' names already: {', '.join(clash)}",
            where=rows[0].file,
            remedy=f"Say --prefix {prefix}, with which the answers' columns begin then, or rename those of the input.",
        )
    return [*columns, *names.values()]


def _check_sheets(source: TableSource, items: ItemMaker, job: TableJob) -> None:
    """Count the rows where a workbook is written, which takes only so many."""
    sheets = [target for target in job.targets if target.format == "xlsx"]
    if sheets and not source.is_pipe:
        rows = islice(source.rows(items.wanted, LostRows()), MAX_ROWS)
        check_sheet_rows(sum(1 for _ in rows), sheets[0].name)


def _begin(bundle: Bundle, source: TableSource, job: TableJob, columns: list[str]) -> Progress:
    """Return where to begin: anew, or where an interrupted run of the same settings stopped."""
    cannot = [target.name for target in job.targets if not target.is_resumable]
    if source.is_pipe:
        cannot.append(source.name)
    if cannot:
        if any(target.path is not None for target in job.targets):
            logger.info("%s cannot be gone on with: an interrupted run starts anew", " and ".join(cannot))
        for target in job.targets:
            if target.path is not None:
                remove_traces(target)
        return Progress({}, columns=columns)
    settings = {
        "the input": source.digest(),
        "the model": bundle.digest,
        "--samples": job.num_samples,
        "--min-confidence": job.thresholds.min_confidence,
        "--max-risk": job.thresholds.max_risk,
        "--probabilities": job.probabilities,
        "--prefix": job.prefix,
        "--review-out": None if job.review is None else job.review.name,
        "the version": __version__,
        "rows a chunk": inputs.CHUNK_ROWS,
    }
    found = found_progress(job.targets, settings, overwrite=job.overwrite)
    if found is None:
        for target in job.targets:
            remove_traces(target)
        return Progress(settings, columns=columns)
    logger.info("going on after row %s of an interrupted run", f"{found.rows:,}")
    return found
