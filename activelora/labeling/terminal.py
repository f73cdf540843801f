"""The ``terminal`` source: people label with the keyboard, by ``activelora label``."""

from __future__ import annotations

from dataclasses import dataclass, field

from activelora.labeling.answers import Answers
from activelora.labeling.cache import CampaignCache
from activelora.labeling.counting import count_answers
from activelora.labeling.request import Collected, Request


@dataclass(frozen=True)
class TerminalSource:
    """Labels from ``activelora label``, by any number of people, on any machine that reaches the campaign."""

    name: str = "terminal"
    summary: str = "people label with the keyboard: activelora label"
    _answers: CampaignCache[Answers] = field(default_factory=lambda: CampaignCache(Answers), repr=False, compare=False)

    def publish(self, request: Request) -> None:
        """Do nothing: ``activelora label`` shows what the campaign asks for."""

    def collect(self, request: Request) -> Collected:
        """Count the answers so far."""
        return count_answers(request, *self._answers.of(request.campaign).read(), source=self.name)

    def instructions(self, request: Request) -> str:
        """Return the command."""
        return f"activelora label {request.campaign.store.uri}"
