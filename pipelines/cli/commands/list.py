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
        from activelora.uncertainty.measures import MEASURES, NUMBER_MEASURES
        from activelora.uncertainty.text_measures import ORACLE_NLL, TEXT_MEASURES

        lines = {name: [_first_line(measure.__doc__)] for name, measure in MEASURES.items()}
        numbers = {name: measure.__doc__ for name, measure in NUMBER_MEASURES.items()}
        texts = {name: measure.__doc__ for name, measure in TEXT_MEASURES.items()}
        for task, documented in {"regression": numbers, "generation": texts}.items():
            for name, documentation in documented.items():
                lines.setdefault(name, []).append(f"{task}: {_first_line(documentation)}")
        lines[ORACLE_NLL] = ["generation: the gold answer's NLL, which reads labels nobody gave: with the oracle only"]
        return {name: " | ".join(said) for name, said in lines.items()}
    if kind is Kind.sources:
        from activelora.labeling.registry import SOURCES

        return {name: source.summary for name, source in SOURCES.items()}
    from activelora.modeling.methods.registry import METHODS

    return {name: method.summary for name, method in METHODS.items()}


def _first_line(documentation: str | None) -> str:
    return (documentation or "").strip().partition("\n")[0].removeprefix("Return ")
