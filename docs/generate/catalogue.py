"""Strategies, measures and adapter methods, from the registries and the docstrings of their modules."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from activelora.acquisition.registry import STRATEGIES
from activelora.modeling.methods.registry import METHODS
from activelora.uncertainty.measures import MEASURES, NUMBER_MEASURES
from activelora.uncertainty.semantic_entropy import MEANING_MEASURES
from activelora.uncertainty.text_measures import TEXT_MEASURES
from docs.generate.markdown import cell, module_docstring, prose, table

_OURS = "activelora."


def strategies() -> str:
    """Return a section for each built-in strategy: its docstring, what it reads and what it needs."""
    sections = []
    for name, strategy in STRATEGIES.items():
        if not (home := strategy.select.__module__).startswith(_OURS):
            continue
        facts = [_settings("acquisition", strategy)]
        if strategy.needs:
            facts.append(f"Needs from the scoring pass: {', '.join(sorted(strategy.needs))}.")
        if not strategy.needs_scores:
            facts.append("Needs no scoring pass at all.")
        if strategy.needs_answers:
            facts.append("For tasks whose answers exclude each other.")
        sections.append(
            "\n\n".join([f"## `{name}`", prose(module_docstring(home)), " ".join(filter(None, facts))]).strip()
        )
    return "\n\n".join(sections)


def _settings(section: str, part: Any) -> str:
    """Return which settings a part reads: those that it shares with others, and its own."""
    keys = [f"`{section}.{option}`" for option in part.options]
    if own := getattr(part, "settings", None):
        keys += [f"`{section}.{part.name}.{key}`" for key in own.model_fields]
    return f"Settings: {', '.join(keys)}." if keys else ""


def measures() -> str:
    """Return a table of the measures of uncertainty, for each kind of prediction."""
    groups: dict[str, Mapping[str, object]] = {
        "One distribution over answers": MEASURES,
        "Numbers (`regression`)": NUMBER_MEASURES,
        "Written answers (`generation`)": TEXT_MEASURES,
        "Meanings of written answers (`generation`)": MEANING_MEASURES,
    }
    parts = []
    for title, group in groups.items():
        rows = [[f"`{name}`", cell(_words(measure)).removeprefix("Return ")] for name, measure in group.items()]
        parts += [f"### {title}", table(["measure", "what it is"], rows)]
    return "\n\n".join(parts)


def _words(function: object) -> str:
    """Return a docstring without its sections."""
    return re.split(r"\n(?:Args|Raises):", inspect.getdoc(function) or "")[0]


def adapters() -> str:
    """Return a section for each built-in adapter method."""
    sections = []
    for name, method in METHODS.items():
        if not (home := method.implementation.partition(":")[0]).startswith(_OURS):
            continue
        ways = " and ".join(way.upper() for way in method.parallel) or "one process only"
        facts = [_settings("adapter", method), f"In several processes: {ways}."]
        sections.append("\n\n".join([f"## `{name}`", prose(module_docstring(home)), " ".join(filter(None, facts))]))
    return "\n\n".join(sections)
