"""From a YAML file to settings that go together: what `check`, `run FILE` and `submit` read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from activelora.config import CampaignConfig
from activelora.config.document import Document, read_document
from activelora.config.file import require_mapping, with_folder
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError


def load_config(path: Path, overrides: Mapping[str, str] | None = None) -> CampaignConfig:
    """Read a campaign file, validate it, and check the rules between its settings.

    Args:
        path: A YAML file.
        overrides: Dotted key to YAML value, for example ``{"stopping.max_rounds": "3"}``; they win over the
            file.

    Raises:
        ProblemsError: Every wrong key, value and name at once, and once keys and values are right, every conflict.
    """
    return _load(path, overrides or {}, [])


def checked_config(document: Any, *, where: str) -> CampaignConfig:
    """Validate a parsed document, and check the rules between its settings.

    Args:
        document: What the YAML or JSON said.
        where: The file or URI it came from, for messages.

    Raises:
        ProblemsError: The same problems as in :func:`load_config`.
    """
    require_mapping(document, where)
    return _checked(Document(document, where))


def _load(path: Path, overrides: Mapping[str, str], problems: list[ActiveLoRAError]) -> CampaignConfig:
    """Do what :func:`load_config` does, and tell problems that were found before with its own."""
    try:
        document = read_document(path, overrides)
    except ProblemsError as error:
        raise ProblemsError([*problems, *error.problems]) from None
    return with_folder(_checked(replace(document, problems=[*problems, *document.problems])), path)


def _checked(document: Document) -> CampaignConfig:
    from activelora.rules.checks import checked  # the kinds of tasks load numpy, which --help does without

    return checked(document)


def load_with_settings(file: Path, settings: list[str], data: Path | None = None) -> CampaignConfig:
    """Read a campaign file with the settings given on the command line.

    Args:
        file: The campaign file.
        settings: ``key=value`` each, the key dotted, the value YAML.
        data: Replaces `data.folder`.

    Raises:
        ProblemsError: The same problems as in :func:`load_config`, and settings or a folder that cannot be.
    """
    overrides: dict[str, str] = {}
    problems: list[ActiveLoRAError] = []
    for setting in settings:
        key, sign, value = setting.partition("=")
        if sign and key.strip():
            overrides[key.strip()] = value
        else:
            where, remedy = f"--set {setting}", "Write --set stopping.max_rounds=3."
            problems.append(ConfigError("is not of the form key=value", where=where, remedy=remedy))
    if data is not None and not data.expanduser().is_dir():
        remedy = "Name the folder of the data."
        problems.append(ConfigError("there is no such folder", where=f"--data {data}", remedy=remedy))
    elif data is not None:
        overrides["data.folder"] = json.dumps(str(data.expanduser().resolve()))
    return _load(file, overrides, problems)
