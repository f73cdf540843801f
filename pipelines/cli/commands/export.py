"""`export`: a campaign's model as a folder for people and programs without ActiveLoRA."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import warn
from pipelines.cli.models import RoundOption, WhatArgument, open_model


def export(
    what: WhatArgument,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A folder that is not there yet, or empty.")],
    merged: Annotated[
        bool, typer.Option("--merged", help="Add the adapter into the base model's weights: one dense model.")
    ] = False,
    with_base: Annotated[bool, typer.Option("--with-base", help="Copy the base model into the folder.")] = False,
    round_: RoundOption = None,
) -> None:
    """Write a model with its tokenizer, task, card, and a short program that needs transformers and peft alone.

    The adapter is the posterior's mean: what that costs on the holdout is measured and said.
    """
    from activelora.prediction.export import export as write_export

    with open_model(what, round_) as bundle:
        done = write_export(bundle, out, merged=merged, with_base=with_base)
    typer.echo(f"{done.folder}: {'the merged model' if merged else 'the adapter'}, its card and what goes with it")
    typer.echo(done.cost.sentence())
    if done.base is not None:
        typer.echo(f"It needs its base model from elsewhere: {done.base}.")
    if done.no_program is not None:
        warn(f"there is no predict.py: {done.no_program}")
