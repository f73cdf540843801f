"""`list`: the names that a campaign file may use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.console import warn

if TYPE_CHECKING:
    from activelora.config.own_settings import Configurable
    from activelora.errors import ConfigError


class Kind(StrEnum):
    """What can be chosen."""

    strategies = "strategies"
    adapters = "adapters"
    sources = "sources"
    measures = "measures"
    kinds = "kinds"


def list_command(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what a campaign file can choose from. What cannot be loaded is a warning."""
    entries, problems = choices(kind)
    for problem in problems:
        warn(str(problem))
    if as_json:
        typer.echo(json.dumps([entry.document() for entry in entries], indent=1, ensure_ascii=False))
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        own = f" [{', '.join(entry.settings)}]" if entry.settings else ""
        typer.echo(f"{entry.name:<{width}}  {entry.summary}{own}".rstrip())


@dataclass(frozen=True)
class Choice:
    """What can be chosen.

    Attributes:
        name: Name, as in a campaign file.
        summary: One line about it.
        settings: Settings of its own, dotted, each with a description.
    """

    name: str
    summary: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """Return it for ``--json``."""
        own = {"settings": dict(self.settings)} if self.settings else {}
        return {"name": self.name, "summary": self.summary, **own}


def choices(kind: Kind) -> tuple[list[Choice], list[ConfigError]]:
    """Return what can be chosen, and what is wrong with what cannot be loaded."""
    if kind is Kind.measures:
        return [Choice(name, summary) for name, summary in _measures().items()], []
    if kind is Kind.sources:
        from activelora.labeling.registry import SOURCES

        sources, problems = SOURCES.loadable()
        return [Choice(name, source.summary) for name, source in sources.items()], problems
    if kind is Kind.kinds:
        from activelora.kinds.registry import KINDS

        kinds, problems = KINDS.loadable()
        return [Choice(name, one.summary) for name, one in kinds.items()], problems
    from activelora.rules.own_sections import PARTS

    section = {Kind.strategies: "acquisition", Kind.adapters: "adapter"}[kind]
    parts, problems = PARTS[section].loadable()
    return [Choice(name, part.summary, _settings(f"{section}.{name}", part)) for name, part in parts.items()], problems


def _settings(key: str, part: Configurable) -> dict[str, str]:
    fields = part.settings.model_fields if part.settings is not None else {}
    return {f"{key}.{name}": " ".join((field.description or "").split()) for name, field in fields.items()}


def _measures() -> dict[str, str]:
    from activelora.kinds.registry import KINDS
    from activelora.uncertainty.measures import MEASURES, NUMBER_MEASURES
    from activelora.uncertainty.semantic_entropy import MEANING_MEASURES
    from activelora.uncertainty.text_measures import ORACLE_NLL, TEXT_MEASURES

    lines = {name: [_first_line(measure.__doc__)] for name, measure in MEASURES.items()}
    kinds = KINDS.loadable()[0].values()
    numeric = ", ".join(kind.name for kind in kinds if set(NUMBER_MEASURES) <= set(kind.measures))
    writing = ", ".join(kind.name for kind in kinds if set(TEXT_MEASURES) <= set(kind.measures))
    for name, number_measure in NUMBER_MEASURES.items():
        lines.setdefault(name, []).append(f"{numeric}: {_first_line(number_measure.__doc__)}")
    for name, text_measure in TEXT_MEASURES.items():
        lines.setdefault(name, []).append(f"{writing}: {_first_line(text_measure.__doc__)}")
    meaning = ", ".join(kind.name for kind in kinds if set(MEANING_MEASURES) <= set(kind.measures))
    for name, meaning_measure in MEANING_MEASURES.items():
        lines.setdefault(name, []).append(f"{meaning}: {_first_line(meaning_measure.__doc__)}")
    lines[ORACLE_NLL] = [f"{writing}: the gold answer's NLL, which reads labels nobody gave: with the oracle only"]
    return {name: " | ".join(said) for name, said in lines.items()}


def _first_line(documentation: str | None) -> str:
    return (documentation or "").strip().partition("\n")[0].removeprefix("Return ")
