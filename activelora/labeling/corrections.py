"""Which answers to an item that has a label are new: an inbox keeps its files, and is read again at every look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from activelora.campaign.labels import time_of
from activelora.labeling.request import Known, Record
from activelora.labeling.tally import Vote, by_annotator


@dataclass
class News:
    """What the answers about a labelled item come to.

    Attributes:
        fresh: Answers that were not recorded before: together they replace the label, or confirm it.
        repeated: Answers of an annotator who gave the same one before, in another file, and was corrected since.
            Most likely an old file was put into the inbox again, so they do not count.
    """

    fresh: list[Vote] = field(default_factory=list)
    repeated: list[Vote] = field(default_factory=list)


def find_news(votes: Sequence[Vote], known: Known) -> News:
    """Tell new answers to a labelled item from those that were recorded, outvoted or replaced long ago.

    An answer is new if its annotator never gave it before, if it is dated after all that is recorded of its
    annotator, or if its file was edited back to it. Of an annotator's dated answers only the latest can be new. To
    pass a labelled item over says nothing.

    Args:
        votes: All answers in the inbox about one item.
        known: What earlier rounds brought about it.
    """
    news = News()
    for annotator, own in by_annotator(votes).items():
        records = [record for record in known.records if record["annotator"] == annotator]
        times = [vote.answer.labeled_at for vote in own if vote.answer.labeled_at is not None]
        for vote in own:
            time = vote.answer.labeled_at
            if vote.label is None or (time is not None and time < max(times)):
                continue
            if _is_fresh(vote, own, records):
                news.fresh.append(vote)
            elif vote.label != known.label and not _is_from(vote, records):
                news.repeated.append(vote)
    return news


def _is_fresh(vote: Vote, own: Sequence[Vote], records: Sequence[Record]) -> bool:
    """Tell whether an answer is new, given all answers in the inbox, and all records, of its annotator."""
    if all(record["label"] != vote.label for record in records):
        return True
    time = vote.answer.labeled_at
    if time is not None and time > max(time_of(record) for record in records):
        return True
    if not _is_from(vote, records):
        return False
    said = [record["label"] for record in records if record.get("origin") == vote.answer.file]
    return said[-1] not in {other.label for other in own if other.answer.file == vote.answer.file}


def _is_from(vote: Vote, records: Sequence[Record]) -> bool:
    """Tell whether this very answer was recorded from the same file."""
    return any(record.get("origin") == vote.answer.file and record["label"] == vote.label for record in records)
