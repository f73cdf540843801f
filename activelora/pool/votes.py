"""What annotators said of an item before the campaign, by a labelling tool's export: which label, who and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from activelora.campaign.labels import time_of
from activelora.campaign.records import Label


@dataclass(frozen=True)
class Vote:
    """One annotator's label of an item.

    Attributes:
        label: The label.
        annotator: Who gave it; None where the export does not tell.
        labeled_at: When, as ISO 8601; None where the export does not tell.
    """

    label: Label
    annotator: str | None = None
    labeled_at: str | None = None


Votes = tuple[Vote, ...]
"""The labels that annotators gave an item, by a labelling tool's export."""


@dataclass(frozen=True)
class Provenance:
    """Who gave a label, and when.

    Attributes:
        annotator: All who gave it, with a semicolon between them; None where nobody is named.
        labeled_at: The latest time that it was given at, as ISO 8601 with a zone; None where no time is told.
    """

    annotator: str | None = None
    labeled_at: str | None = None

    def __bool__(self) -> bool:
        """Tell whether anything is known."""
        return self.annotator is not None or self.labeled_at is not None


def provenance_of(votes: Iterable[Vote], label: Label) -> Provenance:
    """Return who gave an item its label, and when: of those annotators that say the same.

    Args:
        votes: All votes on the item.
        label: The label that it has.
    """
    own = [vote for vote in votes if vote.label == label]
    people = dict.fromkeys(vote.annotator for vote in own if vote.annotator is not None)
    times = [time for vote in own if (time := _time(vote.labeled_at)) is not None]
    return Provenance("; ".join(people) or None, max(times).isoformat() if times else None)


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else time_of({"labeled_at": text})
    except ValueError:
        return None
