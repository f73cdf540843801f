"""The JSON schema for editors, with the names that can be chosen: also of parts that other packages bring."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from activelora.acquisition.registry import STRATEGIES
from activelora.config.extending import EXTENDS
from activelora.config.file import json_schema
from activelora.labeling.registry import SOURCES
from activelora.rules.names import NAMED
from activelora.rules.own_sections import full_schema
from activelora.uncertainty.measures import known_measures

_EXTENDS = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    "description": "Campaign files whose settings this one takes and adds to, by paths relative to this one, such as "
    "../defaults.yaml. Sections are joined, other values replaced; of several files the later ones win.",
    "title": "Extends",
}


def names_of_settings() -> dict[str, list[str]]:
    """Return the settings that name something, and the names of all that is installed."""
    registries = {**NAMED, "acquisition.hybrid.then": STRATEGIES, "labeling.llm.people.source": SOURCES}
    measures = sorted(known_measures())
    return {
        **{key: sorted(registry) for key, registry in registries.items()},
        "acquisition.measure": measures,
        "acquisition.hybrid.prefilter": measures,
    }


def editor_schema() -> dict[str, Any]:
    """Return the campaign file's schema; editors complete names from it, and take others too: of packages to come."""
    schema = json_schema(full_schema())
    for key, names in names_of_settings().items():
        _offer(_property(schema, key), names)
    schema["properties"][EXTENDS] = _EXTENDS
    _require_unless_extended(schema)
    return schema


def _require_unless_extended(schema: dict[str, Any]) -> None:
    """Ask for what has no default only of files that extend no other, which may say it, in place."""
    needed = {"required": schema.pop("required"), "properties": {}}
    for name in needed["required"]:
        reference = schema["properties"][name].get("$ref", "").rpartition("/")[2]
        if reference and (required := schema["$defs"][reference].pop("required", None)):
            needed["properties"][name] = {"required": required}
    schema["if"] = {"not": {"required": [EXTENDS]}}
    schema["then"] = needed


def _offer(node: dict[str, Any], names: Iterable[str]) -> None:
    """Let a text be one of some names, or another one, in place."""
    node.pop("type", None)
    node["anyOf"] = [{"enum": [*names]}, {"type": "string"}]


def _property(schema: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the part of a schema that is about a setting."""
    node = schema
    for part in key.split("."):
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        node = node["properties"][part]
    return node
