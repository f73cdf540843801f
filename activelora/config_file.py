"""From a YAML file to a :class:`CampaignConfig`, with errors in plain words."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from activelora.config import CampaignConfig
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError

_SECRET_KEY = re.compile(r"(password|passwd|secret|token|api_?key|access_?key|credential)", re.IGNORECASE)
_URI_WITH_PASSWORD = re.compile(r"[a-z0-9+]+://[^/@\s]*:[^/@\s]+@", re.IGNORECASE)


def load_config(path: Path, overrides: dict[str, str] | None = None) -> CampaignConfig:
    """Read and validate a campaign file.

    Args:
        path: A YAML file.
        overrides: Dotted key to YAML value, for example ``{"stopping.max_rounds": "3"}``; they win over the file.

    Raises:
        ProblemsError: Every problem that the schema can find, at once.
    """
    document = _read_yaml(path)
    for key, value in (overrides or {}).items():
        _override(document, key, value)
    config = parse_config(document, where=str(path))
    folder = config.data.folder
    if "://" not in folder and not Path(folder).is_absolute():
        resolved = str((path.parent / folder).resolve())
        config = config.model_copy(update={"data": config.data.model_copy(update={"folder": resolved})})
    return config


def parse_config(document: Any, *, where: str) -> CampaignConfig:
    """Validate a parsed document.

    Args:
        document: What the YAML or JSON said.
        where: The file or URI it came from, for messages.

    Raises:
        ProblemsError: Every problem at once.
    """
    if not isinstance(document, dict):
        raise ProblemsError([ConfigError("is not a mapping of settings", where=where, remedy=_INIT_REMEDY)])
    problems: list[ActiveLoRAError] = list(_secrets(document, where))
    try:
        config = CampaignConfig.model_validate(document)
    except ValidationError as error:
        problems += [_explain(dict(detail), where) for detail in error.errors(include_url=False)]
    if problems:
        raise ProblemsError(problems)
    return config


_INIT_REMEDY = "`activelora init NAME --template classification` writes a commented example."


def config_digest(config: CampaignConfig) -> str:
    """Return the sha256 of the configuration's canonical JSON."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def json_schema() -> dict[str, Any]:
    """Return the campaign file's JSON schema, for editors that complete and check YAML."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **CampaignConfig.model_json_schema()}


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        document = yaml.safe_load(text)
    except FileNotFoundError:
        raise ProblemsError(
            [ConfigError("the campaign file does not exist", where=str(path), remedy=_INIT_REMEDY)]
        ) from None
    except IsADirectoryError:
        raise ProblemsError(
            [ConfigError("is a folder; name the campaign file in it", where=str(path))]
        ) from None
    except UnicodeDecodeError as error:
        raise ProblemsError(
            [ConfigError(f"is not UTF-8 text (byte {error.start})", where=str(path))]
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ProblemsError(
            [ConfigError(f"is not valid YAML: {getattr(error, 'problem', error)}", where=place)]
        ) from None
    if not isinstance(document, dict):
        raise ProblemsError(
            [ConfigError("is empty or not a mapping of settings", where=str(path), remedy=_INIT_REMEDY)]
        )
    return document


def _override(document: dict[str, Any], key: str, value: str) -> None:
    *parents, last = key.split(".")
    section = document
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise ConfigError(f"`{parent}` is no section", where=f"--set {key}={value}")
    try:
        section[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError("the value is not valid YAML", where=f"--set {key}={value}") from None


def _secrets(node: Any, where: str, path: str = "") -> list[ConfigError]:
    found = []
    if isinstance(node, dict):
        for key, value in node.items():
            here = f"{path}.{key}" if path else str(key)
            if _SECRET_KEY.search(str(key)) and here != "resources.secrets" and isinstance(value, str):
                found.append(_secret_error(here, where))
            found += _secrets(value, where, here)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            found += _secrets(value, where, f"{path}[{index}]")
    elif isinstance(node, str) and _URI_WITH_PASSWORD.search(node):
        found.append(_secret_error(path, where))
    return found


def _secret_error(key: str, where: str) -> ConfigError:
    return ConfigError(
        f"`{key}` looks like a secret, which a campaign file must not hold",
        where=where,
        remedy="Set it in the environment (AWS_ACCESS_KEY_ID, MLFLOW_TRACKING_PASSWORD, ...) or a mounted secret.",
    )


def _explain(detail: dict[str, Any], where: str) -> ConfigError:
    location = [part for part in detail["loc"] if isinstance(part, str | int)]
    key = ".".join(str(part) for part in location) or "the file"
    kind, given = detail["type"], detail.get("input")
    if kind == "extra_forbidden":
        known = sorted(_fields_at(location[:-1]))
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        guess = f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(known)}."
        return ConfigError(f"`{key}` is not a setting", where=where, remedy=guess)
    if kind == "missing":
        return ConfigError(f"`{key}` is missing", where=where, remedy=_INIT_REMEDY)
    message = str(detail["msg"]).removeprefix("Value error, ")
    shown = "" if isinstance(given, dict) else f" (given: {given!r})"
    return ConfigError(f"`{key}`: {message[0].lower()}{message[1:]}{shown}", where=where)


def _fields_at(location: list[Any]) -> list[str]:
    model: type[BaseModel] = CampaignConfig
    for part in location:
        field = model.model_fields.get(str(part))
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        inner = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)
