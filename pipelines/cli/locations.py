"""From what a person types to a campaign: a campaign file, or a campaign's folder or URI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from activelora.campaign.campaign import Campaign
    from activelora.campaign.snapshot import View
    from activelora.config import CampaignConfig

CAMPAIGNS_FOLDER = "campaigns"


def default_uri(config: CampaignConfig, file: Path) -> str:
    """Return where a campaign lives if nobody says otherwise: ``campaigns/<name>`` beside its file.

    Until version 0.2 that was below the folder that a command was called in: a campaign that is there, and not beside
    its file, is used, and that is said.

    Args:
        config: The campaign's settings.
        file: Its file.
    """
    from activelora.campaign.frozen import CAMPAIGN_KEY

    return str(beside(file, Path(CAMPAIGNS_FOLDER) / config.name, CAMPAIGN_KEY))


def beside(file: Path, place: Path, content: str) -> Path:
    """Return a relative place as seen from a file; as seen from here, where only that place has the content.

    Args:
        file: The file that names what is kept there.
        place: The place.
        content: What is in it if it is in use.
    """
    found = file.parent / place
    if found.resolve() != place.resolve() and (place / content).exists() and not (found / content).exists():
        from pipelines.cli.console import warn

        warn(f"{place.resolve()} is used, from before such folders were put beside their file: move it to {found}")
        return place
    return found


def is_campaign_file(uri_or_file: str) -> bool:
    """Tell whether this is a campaign file, and not a campaign's folder or URI."""
    return "://" not in uri_or_file and (uri_or_file.endswith((".yaml", ".yml")) or Path(uri_or_file).is_file())


def open_campaign(uri_or_file: str, *, to_read: bool = False) -> Campaign:
    """Open a campaign that is there.

    Args:
        uri_or_file: URI or folder of the campaign, or its campaign file if it lives at the default URI.
        to_read: Nothing will be written: see :meth:`Campaign.open`.
    """
    from activelora.campaign.campaign import Campaign

    if is_campaign_file(uri_or_file):
        from activelora.config.file import read_file

        file = Path(uri_or_file)
        uri_or_file = default_uri(read_file(file), file)
    return Campaign.open(uri_or_file, to_read=to_read)


def collected_round(campaign: View, round_: int | None) -> int:
    """Return a round whose training labels are known; None is the newest such round.

    Raises:
        StoreError: There is no such round yet.
    """
    from activelora.campaign import ledger

    return ledger.collected_round(campaign, round_)
