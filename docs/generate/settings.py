"""The settings reference: every section, key, type, default and explanation, from the pydantic models."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from activelora.config import CampaignConfig
from docs.generate.markdown import cell, prose, table

_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def settings() -> str:
    """Return a heading and a table for every section, each after the one that holds it."""
    return "\n\n".join(_section(CampaignConfig, ""))


def _section(model: type[BaseModel], path: str) -> Iterator[str]:
    title = f"## `{path}`" if path else "## Top level"
    rows, inner = [], []
    for name, field in model.model_fields.items():
        key = f"{path}.{name}" if path else name
        rows.append(
            [f"`{name}`", type_words(field.annotation, field), default_words(field), cell(field.description or "")]
        )
        inner += [(found, key + suffix) for found, suffix in models_in(field.annotation)]
    yield title
    yield prose(model.__doc__ or "")
    yield table(["key", "type", "default", "meaning"], rows)
    for found, key in inner:
        yield from _section(found, key)


def models_in(annotation: Any, suffix: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    """Yield the sections in a type, each with what its key ends in: nothing, or that there are several."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, suffix
        return
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        arguments = arguments[:1]
    several = {dict: ".NAME", list: "[]", tuple: "[]"}.get(origin, "") if origin else ""
    for argument in arguments:
        yield from models_in(argument, suffix + several)


def type_words(annotation: Any, field: FieldInfo | None = None) -> str:
    """Return a type as a reader of YAML knows it, with its bounds."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    bounds = _bounds(field.metadata) if field else ""
    if annotation is type(None):
        return "null"
    if origin is Annotated:
        return type_words(arguments[0]) + _bounds(arguments[1:])
    if origin is Literal:
        return " or ".join(f"`{argument}`" for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_words(argument) for argument in arguments)) + bounds
    if origin in (list, tuple):
        return f"list of {type_words(arguments[0])}"
    if origin is dict:
        return f"mapping to {type_words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    words = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`"}
    return words.get(annotation, getattr(annotation, "__name__", "any")) + bounds


def _bounds(metadata: Any) -> str:
    found = []
    for one in metadata:
        for constraint in (one, *getattr(one, "metadata", ())):
            found += [
                f"{sign} {getattr(constraint, name):g}" for name, sign in _BOUNDS.items() if hasattr(constraint, name)
            ]
    return f" {', '.join(dict.fromkeys(found))}".rstrip().replace("<", "&lt;")


def default_words(field: FieldInfo) -> str:
    """Return a default as it stands in YAML."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "see below"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list | dict) and not value:
        return "empty"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"
