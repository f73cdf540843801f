"""What a label source remembers of a campaign between two looks: only what it could read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from activelora.campaign.campaign import Campaign

Thing = TypeVar("Thing")
MAX_CAMPAIGNS = 4


class CampaignCache(Generic[Thing]):
    """One thing for each of the campaigns that were looked at last.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[Campaign], Thing]) -> None:
        self._make = make
        self._things: dict[str, tuple[Campaign, Thing]] = {}

    def of(self, campaign: Campaign) -> Thing:
        """Return what belongs to a campaign."""
        uri = campaign.store.uri
        if uri in self._things and self._things[uri][0].config != campaign.config:
            del self._things[uri]  # another campaign, in the same place
        if uri not in self._things:
            while len(self._things) >= MAX_CAMPAIGNS:
                del self._things[next(iter(self._things))]
            self._things[uri] = (campaign, self._make(campaign))
        return self._things[uri][1]
