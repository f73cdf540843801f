"""From a campaign file's settings to a :class:`CampaignConfig`, and back to what is frozen of them."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from activelora.config import llm
from activelora.config.campaign import CampaignConfig
from activelora.config.document import flat, read_document
from activelora.config.messages import INIT_REMEDY, explain, find_secrets
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError


def read_file(path: Path, overrides: Mapping[str, str] | None = None) -> CampaignConfig:
    """Read a campaign file and validate it against the schema; rules between its settings are not its business.

    Args:
        path: A YAML file.
        overrides: Dotted key to YAML value, for example ``{"stopping.max_rounds": "3"}``; they win over the
            file.

    Raises:
        ProblemsError: Every problem that the schema can find, at once.
    """
    document = read_document(path, overrides or {})
    if document.problems:
        raise ProblemsError([*document.problems])
    return with_folder(parse_config(document.settings, where=str(path)), path)


def with_folder(config: CampaignConfig, path: Path) -> CampaignConfig:
    """Return a file's settings with `data.folder` as seen from here, and not from the file."""
    folder = config.data.folder
    if "://" in folder:
        return config
    resolved = str((path.parent / Path(folder).expanduser()).resolve())
    return config.model_copy(update={"data": config.data.model_copy(update={"folder": resolved})})


def parse_config(document: Any, *, where: str, is_frozen: bool = False) -> CampaignConfig:
    """Validate a parsed document.

    Args:
        document: What the YAML or JSON said.
        where: The file or URI it came from, for messages.
        is_frozen: Whether a campaign has stored it: then the schema alone decides, and nothing is taken for a secret.

    Raises:
        ProblemsError: Every problem at once.
    """
    require_mapping(document, where)
    problems: list[ActiveLoRAError] = [] if is_frozen else list(find_secrets(document, where))
    try:
        config = CampaignConfig.model_validate(document)
    except ValidationError as error:
        problems += explain(error, where)
    if problems:
        raise ProblemsError(problems)
    return config


def require_mapping(document: Any, where: str) -> None:
    """Refuse a document that holds no settings."""
    if not isinstance(document, dict):
        raise ProblemsError([ConfigError("is not a mapping of settings", where=where, remedy=INIT_REMEDY)])


_NEEDED = (("name",), ("task", "prompt"), ("data", "pool", "path"))
"""Settings without a default."""


def as_far_as_valid(document: dict[str, Any]) -> CampaignConfig:
    """Return what of the settings is valid, to look into it for more problems; defaults stand for the rest.

    Args:
        document: Settings that the schema refuses.
    """
    known = copy.deepcopy(document)
    while True:
        for key in _NEEDED:
            _fill(known, key)
        try:
            return CampaignConfig.model_validate(known)
        except ValidationError as error:
            wrong = [[str(part) for part in detail["loc"]] for detail in error.errors(include_url=False)]
        left_out = [_leave_out(known, location) for location in wrong]
        if not any(left_out):
            known = {}


def _fill(section: dict[str, Any], key: Sequence[str]) -> None:
    """Put a word where a setting is needed and nothing was given."""
    first, *rest = key
    if rest and not isinstance(section.get(first), dict):
        section[first] = {}
    if rest:
        _fill(section[first], rest)
    else:
        section.setdefault(first, "none")


def _leave_out(section: dict[Any, Any], location: Sequence[str]) -> bool:
    """Take out the innermost setting that a location names, in place; tell whether there was one."""
    for name, value in section.items():
        if str(name) in location[:1]:
            if not (isinstance(value, dict) and _leave_out(value, location[1:])):
                del section[name]
            return True
    return False


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
    "reporting",
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
    before, after = flat(_frozen_part(old)), flat(_frozen_part(new))
    changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    shown = ", ".join(f"{key}: {before.get(key)!r} there, {after.get(key)!r} asked" for key in changed[:3])
    return shown + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")


def json_schema(model: type[CampaignConfig] = CampaignConfig) -> dict[str, Any]:
    """Return the campaign file's JSON schema, for editors that complete and check YAML.

    Args:
        model: The schema: of this package alone, or with the sections of others' parts.
    """
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}


def _frozen_part(config: CampaignConfig) -> dict[str, Any]:
    document = config.model_dump(mode="json")
    for key in CHANGEABLE:
        *parents, last = key.split(".")
        section = document
        for parent in parents:
            section = section[parent]
        del section[last]
    return document
