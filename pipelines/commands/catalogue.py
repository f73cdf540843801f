"""`list`: the names that a campaign file may use."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer


class Kind(StrEnum):
    """What can be chosen."""

    strategies = "strategies"
    adapters = "adapters"
    sources = "sources"
    measures = "measures"


def list_command(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what a campaign file can choose from."""
    entries = choices(kind)
    if as_json:
        listed = [{"name": name, "summary": summary} for name, summary in entries.items()]
        typer.echo(json.dumps(listed, indent=1, ensure_ascii=False))
        return
    width = max(len(name) for name in entries)
    for name, summary in entries.items():
        typer.echo(f"{name:<{width}}  {summary}".rstrip())


def choices(kind: Kind) -> dict[str, str]:
    """Return name and one line about each choice."""
    if kind is Kind.strategies:
        from activelora.acquisition.registry import STRATEGIES

        return {name: strategy.summary for name, strategy in STRATEGIES.items()}
    if kind is Kind.measures:
        from activelora.uncertainty.measures import MEASURES

        return {name: _first_line(measure.__doc__) for name, measure in MEASURES.items()}
    if kind is Kind.sources:
        from activelora.labeling.registry import SOURCES

        return {name: source.summary for name, source in SOURCES.items()}
    from activelora.modeling.methods.registry import METHODS

    return {name: method.summary for name, method in METHODS.items()}


def _first_line(documentation: str | None) -> str:
    return (documentation or "").strip().partition("\n")[0].removeprefix("Return ")
