"""The ``files`` source: people fill in tables and put them into an inbox, in any number, order and format."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from activelora.campaign.campaign import Campaign
from activelora.campaign.store import open_store
from activelora.errors import StoreError
from activelora.labeling.answers import Answers
from activelora.labeling.cache import CampaignCache
from activelora.labeling.counting import count_answers
from activelora.labeling.inbox import Answer, Inbox
from activelora.labeling.request import Collected, Rejected, Request
from activelora.labeling.worked import Known
from activelora.labeling.worksheet import folder_of, to_label_csv, to_label_jsonl
from activelora.redacting import redact


@dataclass(frozen=True)
class FilesSource:
    """Labels from files.

    The whole inbox counts at every look; files that have not changed since the last one are not read again. What is
    labelled in a terminal (``activelora label``) counts too. That is: answers to items of this round, late answers to
    items that an earlier round asked for in vain, and new answers to items that have a label, which correct it. What
    comes while no round waits stays for the next one.
    """

    name: str = "files"
    summary: str = "people fill CSV or JSONL files and put them into an inbox"
    _inbox: CampaignCache[Inbox] = field(default_factory=lambda: CampaignCache(_open_inbox), repr=False, compare=False)
    _answers: CampaignCache[Answers] = field(default_factory=lambda: CampaignCache(Answers), repr=False, compare=False)

    def publish(self, request: Request) -> None:
        """Write ``to_label.csv`` and ``to_label.jsonl`` into the campaign, once; make the inbox, if it is a folder."""
        store, folder = request.campaign.store, folder_of(request.round)
        for name, content_of in (("to_label.csv", to_label_csv), ("to_label.jsonl", to_label_jsonl)):
            if not store.exists(f"{folder}/{name}"):
                store.create(f"{folder}/{name}", content_of(request))
        inbox = inbox_uri(request.campaign)
        if "://" not in inbox:
            try:
                Path(inbox).expanduser().mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(
                    f"the inbox cannot be made: {error.strerror}", where=inbox, remedy="Set `labeling.inbox`."
                ) from error

    def collect(self, request: Request) -> Collected:
        """Read the inbox and count its answers."""
        return count_answers(request, *self.read(request.campaign), source=self.name)

    def read(self, campaign: Campaign) -> tuple[list[Answer], list[Rejected]]:
        """Return all answers, from files and from terminals, and what could not be read."""
        answers, rejected = self._inbox.of(campaign).read()
        typed, broken = self._answers.of(campaign).read()
        return [*answers, *typed], [*rejected, *broken]

    def instructions(self, request: Request) -> str:
        """Return where the files are and where they go."""
        uri = f"{request.campaign.store.uri}/{folder_of(request.round)}/to_label.csv"
        text = f"fill in {uri} (or .jsonl) and put it into {redact(inbox_uri(request.campaign))}"
        num_annotators = request.campaign.config.labeling.annotators_per_item
        if num_annotators == 1:
            return text
        return f"{text}, {num_annotators} people each a file of their own, with their name in the column annotator"


def _open_inbox(campaign: Campaign) -> Inbox:
    return Inbox(open_store(inbox_uri(campaign)), known=Known.of(campaign.config))


def inbox_uri(campaign: Campaign) -> str:
    """Return the inbox's folder or ``s3://`` prefix; a relative one starts at the data folder."""
    inbox = campaign.config.labeling.inbox
    if inbox is None:
        return f"{campaign.store.uri}/inbox"
    if "://" in inbox or inbox.startswith("~") or Path(inbox).is_absolute():
        return inbox
    return f"{campaign.config.data.folder.rstrip('/')}/{inbox}"
