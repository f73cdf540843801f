"""From a YAML file to a :class:`CampaignConfig`, with errors in plain words."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from activelora.config import llm
from activelora.config.campaign import CampaignConfig
from activelora.config.messages import INIT_REMEDY, explain, find_secrets
from activelora.config.moved_settings import moved_keys, upgrade_acquisition
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError

logger = logging.getLogger(__name__)


def read_file(path: Path, overrides: dict[str, str] | None = None) -> CampaignConfig:
    """Read a campaign file and validate it against the schema; rules between its settings are not its business.

    Args:
        path: A YAML file.
        overrides: Dotted key to YAML value, for example ``{"stopping.max_rounds": "3"}``; they win over the
            file.

    Raises:
        ProblemsError: Every problem that the schema can find, at once.
    """
    document = _read_yaml(path)
    _refuse_both(document, path)
    document = _of_today(document, str(path))
    for key, value in (overrides or {}).items():
        _override(document, key, value)
        document = _of_today(document, f"--set {key}=...")
    config = parse_config(document, where=str(path))
    folder = config.data.folder
    if "://" not in folder:
        resolved = str((path.parent / Path(folder).expanduser()).resolve())
        config = config.model_copy(update={"data": config.data.model_copy(update={"folder": resolved})})
    return config


def parse_config(document: Any, *, where: str, is_frozen: bool = False) -> CampaignConfig:
    """Validate a parsed document.

    Args:
        document: What the YAML or JSON said.
        where: The file or URI it came from, for messages.
        is_frozen: Whether a campaign has stored it: then the schema alone decides, and nothing is taken for a secret.

    Raises:
        ProblemsError: Every problem at once.
    """
    if not isinstance(document, dict):
        raise ProblemsError([ConfigError("is not a mapping of settings", where=where, remedy=INIT_REMEDY)])
    problems: list[ActiveLoRAError] = [] if is_frozen else list(find_secrets(document, where))
    try:
        config = CampaignConfig.model_validate(document)
    except ValidationError as error:
        problems += explain(error, where)
    if problems:
        raise ProblemsError(problems)
    return config


def without_unknown(document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the settings without those that the schema does not know, and the dotted names of these.

    Args:
        document: Settings that a newer version may have written.
    """
    try:
        CampaignConfig.model_validate(document)
    except ValidationError as error:
        unknown = [detail["loc"] for detail in error.errors(include_url=False) if detail["type"] == "extra_forbidden"]
    else:
        return document, []
    known = json.loads(json.dumps(document))
    for location in unknown:
        section = known
        for part in location[:-1]:
            section = section[part]
        del section[location[-1]]
    return known, [".".join(map(str, location)) for location in unknown]


CHANGEABLE = (
    "resources",
    "tracking",
    "acquisition.memory_gb",
    "labeling.wait_minutes",
    "labeling.poll_seconds",
    "labeling.remind_hours",
    *(f"labeling.llm.{name}" for name in llm.CHANGEABLE),
    "labeling.label_studio.url",
    "labeling.label_studio.timeout_seconds",
)
"""Settings that cannot change a result, only where and how patiently it is computed and where it is shown.

Other machines, and other numbers of training processes, round otherwise: the bytes may then differ, and what is learned
not. A round that is done stays as it is."""


def with_changeable(frozen: CampaignConfig, given: CampaignConfig) -> CampaignConfig:
    """Return frozen settings with the given ones of :data:`CHANGEABLE`."""
    settings, other = frozen.model_dump(), given.model_dump()
    for key in CHANGEABLE:
        *parents, last = key.split(".")
        section, source = settings, other
        for parent in parents:
            section, source = section[parent], source[parent]
        section[last] = source[last]
    return CampaignConfig.model_validate(settings)


def config_digest(config: CampaignConfig) -> str:
    """Return the sha256 of the settings that can change a result, as canonical JSON: all but :data:`CHANGEABLE`."""
    return document_digest(_frozen_part(config))


def document_digest(document: Any) -> str:
    """Return the sha256 of a document's canonical JSON."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def config_difference(old: CampaignConfig, new: CampaignConfig) -> str:
    """Return in words which of the settings that can change a result differ, three at most."""
    before, after = _flat(_frozen_part(old)), _flat(_frozen_part(new))
    changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    shown = ", ".join(f"{key}: {before.get(key)!r} there, {after.get(key)!r} asked" for key in changed[:3])
    return shown + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")


def json_schema(model: type[CampaignConfig] = CampaignConfig) -> dict[str, Any]:
    """Return the campaign file's JSON schema, for editors that complete and check YAML.

    Args:
        model: The schema: of this package alone, or with the sections of others' parts.
    """
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}


def _refuse_both(document: dict[str, Any], path: Path) -> None:
    """Refuse a setting that stands in a file under its old key and under that of today."""
    given = _flat(document)
    problems: list[ActiveLoRAError] = [
        ConfigError(f"`{old}` is now `{new}`, and both are given", where=str(path), remedy=f"Leave `{old}` out.")
        for old, keys in moved_keys(document).items()
        for new in keys
        if new in given
    ]
    if problems:
        raise ProblemsError(problems)


def _of_today(document: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a file's settings under the keys of today, and say which ones it should say."""
    for old, keys in moved_keys(document).items():
        new = " and ".join(f"`{key}`" for key in keys)
        _warn_once(f"{where}: `{old}` is now {new}. The old key still works, and goes with ActiveLoRA 0.3")
    return upgrade_acquisition(document)


@cache
def _warn_once(text: str) -> None:
    """Say it once in a process: a comparison reads its file for every campaign."""
    logger.warning("%s", text)


class _Loader(yaml.SafeLoader):
    """Refuses a key that is written twice, where YAML would silently take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"`{key.value}` is written twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_MAX_VALUES = 100_000


def _parse_yaml(text: str) -> Any:
    """Parse YAML, but refuse a few lines that aliases (``*name``) blow up to more than any machine can hold."""
    document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    if _num_values(document, {}) > _MAX_VALUES:
        raise yaml.constructor.ConstructorError(problem=f"its aliases unfold to more than {_MAX_VALUES} values")
    return document


def _num_values(node: Any, counts: dict[int, int | None]) -> int:
    """Count the values of a document with its aliases unfolded; each shared one is looked at once."""
    if not isinstance(node, dict | list):
        return 1
    if id(node) not in counts:
        counts[id(node)] = None  # being counted
        children = node.values() if isinstance(node, dict) else node
        counts[id(node)] = 1 + sum(_num_values(child, counts) for child in children)
    count = counts[id(node)]
    if count is None:
        raise yaml.constructor.ConstructorError(problem="an alias stands inside what it stands for")
    return count


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = _parse_yaml(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise _problem(path, "the campaign file does not exist", INIT_REMEDY) from None
    except IsADirectoryError:
        raise _problem(path, "is a folder", "Name the campaign file in it.") from None
    except OSError as error:
        raise _problem(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise _problem(path, f"is not UTF-8 text (byte {error.start})", "Save it as UTF-8.") from None
    except RecursionError:
        raise _problem(path, "is nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed"
        raise _problem(where, f"is not a valid campaign file: {reason}") from None
    if not isinstance(document, dict):
        raise _problem(path, "is empty or not a mapping of settings", INIT_REMEDY)
    return document


def _override(document: dict[str, Any], key: str, value: str) -> None:
    where = f"--set {key}=..."
    *parents, last = key.split(".")
    section = document
    for parent in parents:
        if section.get(parent) is None:
            section[parent] = {}
        section = section[parent]
        if not isinstance(section, dict):
            raise _problem(where, f"`{parent}` is no section, it has a value")
    if not all((*parents, last)):
        raise _problem(where, "is not a dotted key", "Write for example --set stopping.max_rounds=3.")
    try:
        section[last] = _parse_yaml(value)
    except (yaml.YAMLError, RecursionError):
        raise _problem(where, "the value is not valid YAML", "Put text with : # [ or { in quotes.") from None


def _problem(where: Path | str, problem: str, remedy: str = "") -> ProblemsError:
    return ProblemsError([ConfigError(problem, where=str(where), remedy=remedy)])


def _frozen_part(config: CampaignConfig) -> dict[str, Any]:
    document = config.model_dump(mode="json")
    for key in CHANGEABLE:
        *parents, last = key.split(".")
        section = document
        for parent in parents:
            section = section[parent]
        del section[last]
    return document


def _flat(node: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {path: node}
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= _flat(value, f"{path}.{key}" if path else key)
    return flat
