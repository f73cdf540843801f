"""`predict`: answer the rows of a table with a campaign's model."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from activelora.quantities import quantity
from pipelines.cli.console import warn
from pipelines.cli.models import (
    MaxRiskOption,
    MinConfidenceOption,
    PrefixOption,
    ProbabilitiesOption,
    RoundOption,
    SamplesOption,
    WhatArgument,
    open_model,
)

if TYPE_CHECKING:
    from activelora.prediction.table import Summary


class PipeFormat(StrEnum):
    """What goes through a pipe."""

    csv = "csv"
    tsv = "tsv"
    jsonl = "jsonl"


def predict(
    what: WhatArgument,
    table: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="CSV, TSV, JSON lines, Parquet or Excel, packed or not; a folder; - for a pipe."
        ),
    ],
    out: Annotated[
        str, typer.Option(metavar="FILE", help="By its ending .csv, .tsv, .jsonl (.gz), .parquet, .xlsx; - for a pipe.")
    ],
    review_out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the rows that people should look at here besides.")
    ] = None,
    min_confidence: MinConfidenceOption = None,
    max_risk: MaxRiskOption = None,
    round_: RoundOption = None,
    samples: SamplesOption = None,
    probabilities: ProbabilitiesOption = False,
    prefix: PrefixOption = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is there, and what another run has begun.")
    ] = False,
    pipe_format: Annotated[
        PipeFormat, typer.Option("--format", help="What --out - writes to standard output.")
    ] = PipeFormat.csv,
) -> None:
    """Answer every row of a table: prediction, probability, uncertainty, and whether a person should look at it.

    All the rows' own columns are kept. Kill it whenever you like: with .csv, .jsonl and .parquet the same command goes
    on where it stopped, and ends with the same bytes.
    """
    from activelora.prediction.inputs import TableSource
    from activelora.prediction.review import Thresholds
    from activelora.prediction.table import TableJob, answer_table
    from activelora.prediction.targets import target_of

    target = target_of(out, "--out", pipe_format.value)
    job = TableJob(
        out=target,
        review=None if review_out is None else target_of(review_out, "--review-out", pipe_format.value),
        num_samples=samples,
        thresholds=Thresholds(min_confidence, max_risk),
        probabilities=probabilities,
        prefix=prefix,
        overwrite=overwrite,
    )
    source = TableSource(table)
    try:
        with open_model(what, round_) as bundle:
            summary = answer_table(bundle, source, job)
    except BrokenPipeError:  # whoever read the answers has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    _tell(summary, target.name, to_stderr=any(one.path is None for one in job.targets))


def _tell(summary: Summary, name: str, *, to_stderr: bool) -> None:
    for problem in summary.first_lost:
        warn(str(problem))
    if summary.lost:
        warn(f"rows that could not be read, and are not in the output: {summary.lost:,}")
    text = f"{quantity(summary.rows, 'row')}, {summary.review:,} of them for review: {name}"
    if summary.unanswered:
        text = f"{text}; without an answer: {summary.unanswered:,}"
    typer.echo(text, err=to_stderr)
