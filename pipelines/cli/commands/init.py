"""`init`: a campaign file to start from, of a template or for one's own data."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activelora.errors import ConfigError
from pipelines.cli.console import warn

if TYPE_CHECKING:
    from activelora.pool.column_guess import Named

SCHEMA_FILE = "campaign.schema.json"
"""Beside the campaign file, whose first line names it."""


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The campaign's name, and the folder that is made.")],
    template: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER",
            help="What to start from: classification (default), yes-no, multiple-choice, multi-label, regression, "
            "generation, preference, a template of another package, or a folder of your organisation's.",
        ),
    ] = None,
    parameters: Annotated[
        list[str], typer.Option("--param", metavar="NAME=VALUE", help="With --template: a parameter that it declares.")
    ] = [],  # noqa: B006 - typer copies it
    data: Annotated[
        str | None, typer.Option(metavar="FILE", help="Your data: a campaign is made for it. Also a folder or s3://.")
    ] = None,
    text: Annotated[
        list[str], typer.Option(metavar="COLUMN", help="With --data: what the model is shown; several if need be.")
    ] = [],  # noqa: B006
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="With --data: the labels.")] = None,
    choices: Annotated[str | None, typer.Option(metavar="COLUMN", help="With --data: each item's own choices.")] = None,
    kind: Annotated[str | None, typer.Option(help="With --data: the kind of task, if not as guessed.")] = None,
) -> None:
    """Write a folder with a commented campaign file: with sample data that runs, or for your own data.

    With --data the file is looked at, and what follows from it is written with the reasons: the columns, where they are
    plain, the kind of task, labels, sizes, and where labels come from.
    """
    from activelora.config.section import DNS_LABEL
    from activelora.pool.column_guess import Named

    if not re.fullmatch(DNS_LABEL, name):
        raise ConfigError(
            f"{name!r} is not a campaign name",
            where="NAME",
            remedy="Use lower-case letters, digits and hyphens, for example support-tickets.",
        )
    if Path(name).exists():
        raise ConfigError("is there already", where=name, remedy="Choose another name, or remove it first.")
    named = Named(tuple(text), label, choices)
    options = [*(option for option, _ in named.with_options()), *(["--kind"] if kind else [])]
    if data is None and options:
        raise ConfigError("is about your own data", where=options[0], remedy="Name the file with --data.")
    if data is not None and (template or parameters):
        where = "--template" if template else "--param"
        raise ConfigError("does not go with --data", where=where, remedy="Start from a template, or from your data.")
    if data is not None:
        _init_for(name, data, named, kind)
    else:
        _init_from(name, template or "classification", parameters)
    for command in ("check", "run", "status"):
        typer.echo(f"  activelora {command} {name}/campaign.yaml")


def _init_from(name: str, wanted: str, parameters: Sequence[str]) -> None:
    """Write a campaign that begins as a template."""
    from pipelines.cli.template_parameters import values_of
    from pipelines.cli.templates import fill_folder, find_template

    template = find_template(wanted)
    values = values_of(template.declaration, parameters)
    with _made(name) as folder:
        fill_folder(template, folder, name, values)
        _write_schema(folder)
    what = "with sample data" if template.declaration is None else f"from the template {template.name}"
    typer.echo(f"{name}/campaign.yaml is ready, {what}. Next:")


def _init_for(name: str, data: str, named: Named, kind: str | None) -> None:
    """Write a campaign for somebody's data, and say what was found."""
    from pipelines.cli.campaign_file import campaign_text
    from pipelines.cli.first_campaign import first_campaign

    made = first_campaign(name, data, named, kind)
    with _made(name) as folder:
        folder.mkdir()
        (folder / "campaign.yaml").write_text(campaign_text(made), encoding="utf-8")
        _write_schema(folder)
    for fact in made.facts():
        typer.echo(f"- {fact}")
    for warning in made.warnings:
        warn(warning)
    typer.echo(f"{name}/campaign.yaml says so, with the reasons. Read it, say its prompt better, and go on:")


@contextmanager
def _made(name: str) -> Iterator[Path]:
    """Give a folder to be made and filled, and put it where it belongs once it is whole."""
    with tempfile.TemporaryDirectory(dir=Path(), prefix=".activelora-") as scratch:
        made = Path(scratch) / name
        yield made
        os.rename(made, name)  # noqa: PTH104 - fails where a folder has come in between, unlike a move


def _write_schema(folder: Path) -> None:
    from activelora.rules.schema import editor_schema

    (folder / SCHEMA_FILE).write_text(json.dumps(editor_schema(), indent=1) + "\n", encoding="utf-8")
