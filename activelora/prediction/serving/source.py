"""Where the served model comes from, and which one that is today: champions change."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from activelora.campaign.campaign import Campaign
from activelora.prediction.bundle import Bundle
from activelora.prediction.sources import MLFLOW_SCHEMES, Fetch, champion_round, names_campaign, open_bundle

Resolve = Callable[[str], str]
"""Returns the URI of the version that an alias of MLflow's stands for now."""


@dataclass(frozen=True)
class Source:
    """A place that a model is loaded from.

    Attributes:
        what: A campaign's URI or folder, an exported folder, or a model of MLflow's.
        round: A round of the campaign; None is its champion.
        fetch: Fetches models of MLflow's.
        resolve: Looks up an alias of MLflow's.
    """

    what: str
    round: int | None = None
    fetch: Fetch | None = None
    resolve: Resolve | None = None

    @property
    def can_change(self) -> bool:
        """Whether another model may stand here tomorrow."""
        return self._is_alias or (self.round is None and names_campaign(self.what))

    def newest(self) -> str:
        """Return what tells the model that stands here now from others; loads nothing.

        Raises:
            ActiveLoRAError: There is none; of a campaign without a champion, the message names the gates that failed.
        """
        if self._is_alias and self.resolve is not None:
            return self.resolve(self.what)
        if self.round is None and names_campaign(self.what):
            return str(champion_round(Campaign.open(self.what, to_read=True)))
        return "" if self.round is None else str(self.round)

    def open(self, found: str) -> AbstractContextManager[Bundle]:
        """Return what gives a model's files.

        Args:
            found: The model, by what :meth:`newest` returned.
        """
        if self._is_alias:
            return open_bundle(found, fetch=self.fetch)
        return open_bundle(self.what, int(found) if found else None, fetch=self.fetch)

    @property
    def _is_alias(self) -> bool:
        return self.what.startswith(MLFLOW_SCHEMES) and "@" in self.what and self.resolve is not None
