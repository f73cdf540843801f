"""`check` and `schema`: what a campaign file may say, and whether one is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from activelora.errors import ProblemsError
from pipelines.cli.console import warn


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
