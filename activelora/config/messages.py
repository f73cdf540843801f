"""What is wrong with a campaign file, in plain words; and what must never be in one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from activelora.config.campaign import CampaignConfig
from activelora.errors import ConfigError
from activelora.redacting import holds_secret, is_secret_key
from activelora.registry import closest

INIT_REMEDY = "`activelora init NAME --template classification` writes a commented example."

_SHOWN_CHARACTERS = 60
_UNION_MEMBERS = ("constrained-int", "tuple[", "literal[", "dict[", "[key]")


def find_secrets(node: Any, where: str, location: tuple[str, ...] = ()) -> Iterator[ConfigError]:
    """Yield an error for each key or value that looks like a secret. The error does not repeat it.

    Settings of the schema are never secrets, whatever they are called; URIs are looked at everywhere.
    """
    if isinstance(node, dict):
        for key, value in node.items():
            here = (*location, str(key))
            if isinstance(value, str | int) and is_secret_key(str(key)) and not _is_setting(here):
                yield _secret_error(here, where)
            else:
                yield from find_secrets(value, where, here)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from find_secrets(value, where, (*location, str(index)))
    elif isinstance(node, str) and holds_secret(node):
        yield _secret_error(location, where)


class _Schema(NamedTuple):
    """What was validated: a model, and the section of the campaign file that it stands for."""

    model: type[BaseModel] = CampaignConfig
    section: tuple[str, ...] = ()


def explain(
    error: ValidationError, where: str, *, model: type[BaseModel] = CampaignConfig, section: tuple[str, ...] = ()
) -> list[ConfigError]:
    """Return what pydantic's findings mean, one error for each value.

    Args:
        error: What validation raised.
        where: The file or URI that was read.
        model: What was validated.
        section: Key of that in the campaign file; empty where it is all of it.
    """
    schema = _Schema(model, section)
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for detail in error.errors(include_url=False):
        location = _location(dict(detail))
        found.setdefault(location, dict(detail))
    # The other members of a union report the same value, or what is around it, once more.
    inner = {location[:end] for location in found for end in range(len(location))}
    innermost = [detail for location, detail in found.items() if location not in inner]
    return [problem for detail in innermost for problem in _explain(detail, where, schema)]


def explain_other(error: ValidationError, where: str, model: type[BaseModel]) -> list[ConfigError]:
    """Return what pydantic found in a file that is no campaign file: no setting of one is named.

    Args:
        error: What validation raised.
        where: The file.
        model: What was validated.
    """
    found = explain(error, where, model=model)
    return [ConfigError(one.problem, where=where, remedy=one.remedy.replace(INIT_REMEDY, "")) for one in found]


def _explain(detail: dict[str, Any], where: str, schema: _Schema) -> list[ConfigError]:
    kind = detail["type"]
    location = _location(detail)
    key = ".".join((*schema.section, *location))
    known = _fields_at(location[:-1], schema.model)
    if kind == "extra_forbidden" and location[-1] in known:
        detail["type"] = "dict_type"  # the section of another package's part
    elif kind == "extra_forbidden":
        remedy = nearest(location[-1], known)
        return [ConfigError(f"`{key}` is not a setting", where=where, remedy=remedy, key=key)]
    if kind == "missing":
        return [ConfigError(f"`{key}` is missing", where=where, remedy=INIT_REMEDY, key=key)]
    problem, remedy = _in_plain_words(detail, location, schema)
    # Where a secret's name belongs, somebody may have written the secret.
    shown = "" if "secret_env" in location else _shown(detail.get("input"))
    return [ConfigError(f"`{key}` {problem}{shown}", where=where, remedy=remedy, key=key)]


def _in_plain_words(detail: dict[str, Any], location: Sequence[str], schema: _Schema) -> tuple[str, str]:
    kind, context, given = detail["type"], detail.get("ctx", {}), detail.get("input")
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        known = ", ".join(_fields_at(location, schema.model))
        return "must be a section of settings", f"It holds: {known}." if known else ""
    if kind == "string_type":
        if isinstance(given, bool):
            return "must be text", "Put it in quotes: YAML reads yes, no, on and off as true or false."
        return "must be text", "Put it in quotes." if given is not None else ""
    if kind == "tuple_type":
        return "must be a list", "Write [a, b], or a line for each that begins with `- `."
    if kind == "string_pattern_mismatch" and "secret_env" in location:
        return "is not a name that Kubernetes allows", "Name the secret and its key; the value stays in the cluster."
    if kind == "string_pattern_mismatch" and location[-1] == "uri":
        return "is not an S3 place", "Write s3://bucket/prefix."
    if kind == "string_pattern_mismatch":
        return "must be lower-case letters, digits and hyphens, at most 63, with no hyphen at an end", ""
    if kind == "literal_error":
        near = closest(str(given), re.findall(r"'([^']*)'", context["expected"]))
        return f"must be {context['expected']}", f"Did you mean `{near}`?" if near else ""
    if kind == "value_error":
        return f"cannot be: {context['error']}", ""
    message = str(detail["msg"]).removeprefix("Input should ").split(", unable")[0].split(", got")[0]
    return f"must {message}" if message != detail["msg"] else f"cannot be: {message}", ""


def _shown(given: Any) -> str:
    """Return the value that was given, unless it is large or might hold a secret."""
    if isinstance(given, dict | list | tuple) or holds_secret(str(given)):
        return ""
    text = "nothing" if given is None else repr(given)
    return f" (given: {text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + '...'})"


def _secret_error(location: Sequence[str], where: str) -> ConfigError:
    return ConfigError(
        f"`{'.'.join(location)}` looks like a secret, which a campaign file must not hold",
        where=where,
        remedy="Set it in the environment (AWS_ACCESS_KEY_ID, MLFLOW_TRACKING_PASSWORD, ...) or a mounted secret.",
        key=".".join(location),
    )


def nearest(name: str, known: Collection[str]) -> str:
    """Return the remedy for a setting that is none: the nearest of those that are known, or all of them."""
    near = closest(name, known)
    if near or not known:
        return f"Did you mean `{near}`?" if near else ""
    return f"Known here: {', '.join(sorted(known))}."


def _location(detail: dict[str, Any]) -> tuple[str, ...]:
    """Return where the value is in the file: pydantic also names the member of a union that it tried."""
    parts = [str(part) for part in detail["loc"]]
    return tuple(part for part in parts if not part.startswith(_UNION_MEMBERS)) or ("the file",)


def _fields_at(location: Sequence[str], root: type[BaseModel]) -> list[str]:
    """Return the settings of a section; none where the location is no section."""
    model = _section(location, root)
    return list(model.model_fields) if model else []


def _is_setting(location: Sequence[str]) -> bool:
    """Tell whether the schema has this setting, or one that it is an entry of."""
    for end, part in enumerate(location):
        section = _section(location[:end], CampaignConfig)
        if section is None:
            return True
        if not part.isdigit() and part not in section.model_fields:
            return False
    return True


def _section(location: Sequence[str], root: type[BaseModel]) -> type[BaseModel] | None:
    model = root
    for part in location:
        if part.isdigit():  # an entry of a list of sections
            continue
        field = model.model_fields.get(part)
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        inner = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return None
        model = inner[0]
    return model
