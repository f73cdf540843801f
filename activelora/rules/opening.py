"""How a notebook begins: with a file's settings, and a new campaign or one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from activelora.campaign.campaign import Campaign
from activelora.config import CampaignConfig
from activelora.errors import ConfigError, ProblemsError
from activelora.rules import file


def load_config(path: Path | str, overrides: Mapping[str, Any] | None = None) -> CampaignConfig:
    """Read a campaign file, validate it, and check the rules between its settings.

    Args:
        path: Campaign file in YAML.
        overrides: Dotted key to value, for example ``{"stopping.max_rounds": 3}``; they win over the file. A text is
            read as YAML, as after ``--set``.

    Raises:
        ProblemsError: Every wrong key, value and name at once, and once keys and values are right, every conflict.
    """
    texts = {key: _yaml(key, value) for key, value in (overrides or {}).items()}
    return file.load_config(Path(path), texts)


def open_campaign(uri: str | Path, *, to_read: bool = False) -> Campaign:
    """Open a campaign that is there.

    Args:
        uri: Folder or ``s3://`` prefix of the campaign.
        to_read: Nothing will be written: then also a campaign that a newer version has written opens, with a warning.

    Raises:
        StoreError: There is none, or its store cannot be read.
        NewerCampaignError: A newer version has written in it, and it was not opened to read.
    """
    return Campaign.open(str(uri), to_read=to_read)


def create_campaign(uri: str | Path, config: CampaignConfig) -> Campaign:
    """Create a campaign, or open it if it is there with the same settings.

    Args:
        uri: Folder or ``s3://`` prefix of the campaign.
        config: Settings of the campaign, as :func:`activelora.load_config` returns them.

    Raises:
        ConfigError: A campaign is there that differs in a setting that can change a result.
        StoreError: The store cannot be used.
    """
    from activelora.rules.own_sections import with_own_sections  # loads the strategies

    return Campaign.create(str(uri), config, partial(with_own_sections, where=str(uri)))


def _yaml(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return yaml.safe_dump(str(value) if isinstance(value, Path) else value)
    except yaml.YAMLError:
        problem = f"`{key}` is a `{type(value).__name__}`, or holds something, that has no form in YAML"
        remedy = "Give a number, true or false, None, a list, a mapping, or a text in YAML."
        raise ProblemsError([ConfigError(problem, where="overrides", remedy=remedy)]) from None
