"""From what a person types to a campaign: a campaign file, or the place where a campaign lives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from activelora.errors import ConfigError

if TYPE_CHECKING:
    from activelora.campaign.campaign import Campaign
    from activelora.config import CampaignConfig

CAMPAIGNS_FOLDER = "campaigns"


def default_place(config: CampaignConfig) -> str:
    """Return where a campaign lives if nobody says otherwise: ``./campaigns/<name>``."""
    return str(Path(CAMPAIGNS_FOLDER) / config.name)


def is_campaign_file(place: str) -> bool:
    """Tell whether a place is a campaign file, and not a campaign's folder or URI."""
    return "://" not in place and (place.endswith((".yaml", ".yml")) or Path(place).is_file())


def read_config(file: Path, settings: list[str], data: Path | None = None) -> CampaignConfig:
    """Read a campaign file with the settings given on the command line.

    Args:
        file: The campaign file.
        settings: ``key=value`` each, the key dotted, the value YAML.
        data: Replaces `data.folder`.

    Raises:
        ProblemsError: Every problem of the file.
        ConfigError: A setting is not of that form, or the data folder is not there.
    """
    from activelora.config_file import load_config

    overrides = dict(_setting(setting) for setting in settings)
    if data is not None:
        if not data.expanduser().is_dir():
            raise ConfigError("there is no such folder", where=f"--data {data}", remedy="Name the folder of the data.")
        overrides["data.folder"] = json.dumps(str(data.expanduser().resolve()))
    return load_config(file, overrides)


def open_campaign(place: str) -> Campaign:
    """Open a campaign that is there.

    Args:
        place: Its folder or URI, or its campaign file if it lives in the default place.
    """
    from activelora.campaign.campaign import Campaign

    if is_campaign_file(place):
        place = default_place(read_config(Path(place), []))
    return Campaign.open(place)


def collected_round(campaign: Campaign, round_: int | None) -> int:
    """Return a round whose training labels are known; None is the newest such round.

    Raises:
        ConfigError: There is no such round yet.
    """
    from activelora.campaign.ledger import num_collected

    newest = num_collected(campaign)
    if round_ is None:
        return newest
    if not 0 <= round_ <= newest:
        raise ConfigError(
            f"the labels that round {round_} trains on are not known",
            where=campaign.store.uri,
            remedy=f"Name a round from 0 to {newest}.",
        )
    return round_


def _setting(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise ConfigError(
            "is not of the form key=value", where=f"--set {text}", remedy="Write --set stopping.max_rounds=3."
        )
    return key.strip(), value
