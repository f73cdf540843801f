"""How a notebook begins: a campaign that is there, or a new one."""

from __future__ import annotations

from activelora.campaign.campaign import Campaign
from activelora.config import CampaignConfig


def open_campaign(uri: str) -> Campaign:
    """Open a campaign that is there.

    Args:
        uri: Folder or ``s3://`` prefix of the campaign.

    Raises:
        StoreError: There is none, or its store cannot be read.
    """
    return Campaign.open(uri)


def create_campaign(uri: str, config: CampaignConfig) -> Campaign:
    """Create a campaign, or open it if it is there with the same settings.

    Args:
        uri: Folder or ``s3://`` prefix of the campaign.
        config: Settings of the campaign, as :func:`activelora.load_config` returns them.

    Raises:
        ConfigError: A campaign is there that differs in a setting that can change a result.
        StoreError: The store cannot be used.
    """
    return Campaign.create(uri, config)
