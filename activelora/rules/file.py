"""From a YAML file to settings that go together: what `check`, `run FILE` and `submit` read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from activelora.config import CampaignConfig
from activelora.config.file import parse_config, read_file
from activelora.errors import ConfigError
from activelora.rules.checks import require_no_conflicts


def load_config(path: Path, overrides: dict[str, str] | None = None) -> CampaignConfig:
    """Read a campaign file, validate it, and check the rules between its settings.

    Args:
        path: A YAML file.
        overrides: Dotted key to YAML value, for example ``{"stopping.max_rounds": "3"}``; they win over the
            file.

    Raises:
        ProblemsError: Every problem that the schema can find, at once; or every conflict.
    """
    return require_no_conflicts(read_file(path, overrides), where=str(path))


def checked_config(document: Any, *, where: str) -> CampaignConfig:
    """Validate a parsed document, and check the rules between its settings.

    Args:
        document: What the YAML or JSON said.
        where: The file or URI it came from, for messages.

    Raises:
        ProblemsError: Every problem that the schema can find, at once; or every conflict.
    """
    return require_no_conflicts(parse_config(document, where=where), where=where)


def load_with_settings(file: Path, settings: list[str], data: Path | None = None) -> CampaignConfig:
    """Read a campaign file with the settings given on the command line.

    Args:
        file: The campaign file.
        settings: ``key=value`` each, the key dotted, the value YAML.
        data: Replaces `data.folder`.

    Raises:
        ProblemsError: Every problem of the file.
        ConfigError: A setting is not of that form, or the data folder is not there.
    """
    overrides = dict(_setting(setting) for setting in settings)
    if data is not None:
        if not data.expanduser().is_dir():
            raise ConfigError("there is no such folder", where=f"--data {data}", remedy="Name the folder of the data.")
        overrides["data.folder"] = json.dumps(str(data.expanduser().resolve()))
    return load_config(file, overrides)


def _setting(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise ConfigError(
            "is not of the form key=value", where=f"--set {text}", remedy="Write --set stopping.max_rounds=3."
        )
    return key.strip(), value
