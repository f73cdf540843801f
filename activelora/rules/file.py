"""From a YAML file to settings that go together: what `check`, `run FILE` and `submit` read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activelora.config import CampaignConfig
from activelora.config.document import Document, read_document
from activelora.config.file import require_mapping, with_folder
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError

if TYPE_CHECKING:
    from activelora.rules.checks import Examined


def load_config(path: Path, overrides: Mapping[str, str] | None = None) -> CampaignConfig:
    """Read a campaign file, validate it, and check the rules between its settings.

    Args:
        path: A YAML file.
        overrides: Dotted key to YAML value, for example ``{"stopping.max_rounds": "3"}``; they win over the
            file.

    Raises:
        ProblemsError: Every wrong key, value and name at once, and once keys and values are right, every conflict.
    """
    return _required(_examine(path, overrides or {}, []))


def checked_config(document: Any, *, where: str) -> CampaignConfig:
    """Validate a parsed document, and check the rules between its settings.

    Args:
        document: What the YAML or JSON said.
        where: The file or URI it came from, for messages.

    Raises:
        ProblemsError: The same problems as in :func:`load_config`.
    """
    from activelora.rules.checks import examine  # the kinds of tasks load numpy, which --help does without

    require_mapping(document, where)
    return _required(examine(Document(document, where)))


def _examine(path: Path, overrides: Mapping[str, str], problems: list[ActiveLoRAError]) -> Examined:
    """Read a file and look what is wrong with it, beside the problems that were found before."""
    from activelora.rules.checks import Examined, examine

    try:
        document = read_document(path, overrides)
    except ProblemsError as error:
        return Examined([*problems, *error.problems], None)
    found = examine(replace(document, problems=[*problems, *document.problems]))
    return found if found.config is None else found._replace(config=with_folder(found.config, path))


def _required(found: Examined) -> CampaignConfig:
    if found.problems or found.config is None:
        raise ProblemsError(found.problems)
    return found.config


def load_with_settings(file: Path, settings: list[str], data: Path | None = None) -> CampaignConfig:
    """Read a campaign file with the settings given on the command line.

    Args:
        file: The campaign file.
        settings: ``key=value`` each, the key dotted, the value YAML.
        data: Replaces `data.folder`.

    Raises:
        ProblemsError: The same problems as in :func:`load_config`, and settings or a folder that cannot be.
    """
    return _required(examine_with_settings(file, settings, data))


def examine_with_settings(file: Path, settings: list[str], data: Path | None = None) -> Examined:
    """Read a campaign file with the settings given on the command line, and return all that is wrong with them.

    Args:
        file: The campaign file.
        settings: ``key=value`` each, the key dotted, the value YAML.
        data: Replaces `data.folder`.
    """
    overrides: dict[str, str] = {}
    problems: list[ActiveLoRAError] = []
    for setting in settings:
        key, sign, value = setting.partition("=")
        if sign and key.strip():
            overrides[key.strip()] = value
        else:
            problems.append(
                ConfigError(
                    "is not of the form key=value",
                    where=f"--set {setting}",
                    remedy="Write --set stopping.max_rounds=3.",
                )
            )
    if data is not None and not data.expanduser().is_dir():
        problems.append(
            ConfigError("there is no such folder", where=f"--data {data}", remedy="Name the folder of the data.")
        )
    elif data is not None:
        overrides["data.folder"] = json.dumps(str(data.expanduser().resolve()))
    return _examine(file, overrides, problems)
