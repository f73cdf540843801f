"""`init`, `check` and `schema`: write a campaign file."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activelora.errors import ConfigError, ProblemsError
from pipelines.cli.console import warn

if TYPE_CHECKING:
    from activelora.pool.column_guess import Named

CAMPAIGN_FILE = "campaign.yaml"
SCHEMA_FILE = "campaign.schema.json"
"""Beside the campaign file, whose first line names it."""


class Template(StrEnum):
    """The campaign files to start from."""

    classification = "classification"
    yes_no = "yes-no"
    multiple_choice = "multiple-choice"
    multi_label = "multi-label"
    regression = "regression"
    generation = "generation"


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The campaign's name, and the folder that is made.")],
    template: Annotated[Template, typer.Option(help="The kind of task to start from.")] = Template.classification,
    data: Annotated[
        str | None, typer.Option(metavar="FILE", help="Your data: a campaign is made for it. Also a folder or s3://.")
    ] = None,
    text: Annotated[
        list[str], typer.Option(metavar="COLUMN", help="With --data: what the model is shown; several if need be.")
    ] = [],  # noqa: B006 - typer copies it
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
    folder = Path(name)
    if folder.exists():
        raise ConfigError("is there already", where=str(folder), remedy="Choose another name, or remove it first.")
    if data is not None:
        _init_for(name, data, Named(tuple(text), label, choices), kind)
    else:
        with _made(name) as made:
            _fill(made, name, template)
        typer.echo(f"{folder}/campaign.yaml is ready, with sample data. Next:")
    typer.echo(f"  activelora check {folder}/campaign.yaml")
    typer.echo(f"  activelora run {folder}/campaign.yaml")
    typer.echo(f"  activelora status {folder}/campaign.yaml")


def _init_for(name: str, data: str, named: Named, kind: str | None) -> None:
    """Write a campaign for somebody's data, and say what was found."""
    from pipelines.cli.first_campaign import campaign_text, first_campaign

    made = first_campaign(name, data, named, kind)
    with _made(name) as folder:
        folder.mkdir()
        (folder / CAMPAIGN_FILE).write_text(campaign_text(made), encoding="utf-8")
        _write_schema(folder)
    for fact in made.facts():
        typer.echo(f"- {fact}")
    for warning in made.warnings:
        warn(warning)
    typer.echo(f"{name}/{CAMPAIGN_FILE} says so, with the reasons. Read it, say its prompt better, and go on:")


@contextmanager
def _made(name: str) -> Iterator[Path]:
    """Give a folder to be made and filled, and put it where it belongs once it is whole."""
    with tempfile.TemporaryDirectory(dir=Path(), prefix=".activelora-") as scratch:
        made = Path(scratch) / name
        yield made
        os.rename(made, name)  # noqa: PTH104 - fails where a folder has come in between, unlike a move


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The campaign file.")],
    data: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Replaces data.folder.")] = None,
    settings: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting.")] = [],  # noqa: B006
) -> None:
    """Check all that can be known without training. Nothing is fetched.

    First the settings: all wrong keys, values and names at once, and where keys and values are right, all that do not
    go together. Once the settings are right: all that is wrong with the data, with the values of the label column ready
    to copy where labels are wrong; and once that is right, with the model.
    """
    from activelora.rules.file import examine_with_settings
    from pipelines.cli.checks import check_campaign
    from pipelines.cli.label_values import hint_of_document

    problems, config, document = examine_with_settings(file, settings, data)
    if config is None or document is None:
        raise ProblemsError(problems, hint="" if document is None else hint_of_document(document, file, problems))
    try:
        findings = check_campaign(config, found=problems)
    except ProblemsError as error:
        raise ProblemsError([document.located(one) for one in error.problems], hint=error.hint) from None
    facts = [("task", f"{config.task.kind}, answered by {config.task.answer}"), *findings.facts]
    width = max(len(what) for what, _ in facts)
    for what, words in facts:
        typer.echo(f"{what:<{width}}  {words}")
    for warning in findings.warnings:
        warn(warning)
    typer.echo(f"{file} is fine")


def schema() -> None:
    """Print the campaign file's JSON schema, for editors that complete and check YAML."""
    from activelora.rules.schema import editor_schema

    typer.echo(json.dumps(editor_schema(), indent=1))


def _fill(folder: Path, name: str, template: Template) -> None:
    with as_file(files("pipelines") / "templates" / template.value) as source:
        shutil.copytree(source, folder)
    campaign_file = folder / CAMPAIGN_FILE
    text = campaign_file.read_text(encoding="utf-8")
    campaign_file.write_text(re.sub(r"(?m)^name: .*$", f"name: {name}", text, count=1), encoding="utf-8")
    _write_schema(folder)


def _write_schema(folder: Path) -> None:
    from activelora.rules.schema import editor_schema

    (folder / SCHEMA_FILE).write_text(json.dumps(editor_schema(), indent=1) + "\n", encoding="utf-8")
