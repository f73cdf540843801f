"""The ``files`` source: people fill in CSV or JSONL files and put them into an inbox, in any number and order."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from activelora.campaign.campaign import Campaign, utc_now
from activelora.campaign.records import Label
from activelora.campaign.store import open_store, redact
from activelora.errors import LabelError, StoreError
from activelora.labeling.inbox import Answer, read_inbox
from activelora.labeling.source import Collected, Known, Record, Rejected, Request, State
from activelora.labeling.tally import Tally, Vote, by_annotator, latest, tally
from activelora.labeling.worksheet import SKIP, folder_of, to_label_csv, to_label_jsonl, unsafe_cell
from activelora.tasks.regression import Regression
from activelora.tasks.task import Task


@dataclass(frozen=True)
class FilesSource:
    """Labels from files.

    The whole inbox is read at every look. What counts: answers to items of this round, and late answers to items that
    an earlier round asked for in vain. An item that already has a label keeps it.
    """

    name: str = "files"
    summary: str = "people fill CSV or JSONL files and put them into an inbox"

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
        """Read the inbox and apply the rules of :func:`activelora.labeling.tally.tally`."""
        answers, rejected = read_inbox(open_store(inbox_uri(request.campaign)))
        votes: dict[str, list[Vote]] = defaultdict(list)
        spoiled: set[str] = set()
        for answer in answers:
            found = _vote(request, answer)
            if isinstance(found, Vote):
                votes[answer.item_id].append(found)
            else:
                rejected.append(found)
                spoiled.add(answer.item_id)
        tallies = {item_id: _tally(request, item_id, votes[item_id]) for item_id in sorted(votes)}
        rejected += [one for item_id in tallies for one in tallies[item_id].rejected]
        states: dict[str, State] = {}
        for item_id in request.reasons:
            state = tallies[item_id].state if item_id in tallies else "waiting"
            states[item_id] = "invalid" if state == "waiting" and item_id in spoiled else state
        rejected.sort(key=lambda one: (one.file, one.line or 0, one.item_id, one.reason))
        return Collected(_records(request, tallies), states, rejected, _num_rounded(request.task, tallies.values()))

    def instructions(self, request: Request) -> str:
        """Return where the files are and where they go."""
        place = f"{request.campaign.store.uri}/{folder_of(request.round)}/to_label.csv"
        return f"fill in {place} (or .jsonl) and put it into {redact(inbox_uri(request.campaign))}"


def inbox_uri(campaign: Campaign) -> str:
    """Return the inbox's folder or ``s3://`` prefix; a relative one starts at the data folder."""
    inbox = campaign.config.labeling.inbox
    if inbox is None:
        return f"{campaign.store.uri}/inbox"
    if "://" in inbox or inbox.startswith("~") or Path(inbox).is_absolute():
        return inbox
    return f"{campaign.config.data.folder.rstrip('/')}/{inbox}"


def _vote(request: Request, answer: Answer) -> Vote | Rejected:
    item = request.items.get(answer.item_id)

    def reject(reason: str) -> Rejected:
        return Rejected(answer.file, answer.line, answer.item_id[:100], reason)

    if item is None:
        return reject(f"this campaign has asked for no item `{answer.item_id[:60]}`{_mangled(answer.item_id)}")
    text = _text(answer)
    if request.task.form == "text" and text.casefold() == SKIP:
        return Vote(answer, None)
    try:
        return Vote(answer, request.task.parse_label(text, item))
    except LabelError as error:
        if text.casefold() == SKIP:
            return Vote(answer, None)
        if text.endswith(".0") and text[:-2].isdecimal():  # how pandas writes whole numbers beside gaps
            return _vote(request, Answer(**{**vars(answer), "label": text[:-2]}))
        return reject(error.problem)


def _mangled(item_id: str) -> str:
    is_number = item_id.replace(".", "", 1).replace("E+", "", 1).replace("e+", "", 1).isdecimal()
    return ": a spreadsheet has turned the id into a number, copy it from to_label.csv" if is_number else ""


def _tally(request: Request, item_id: str, votes: list[Vote]) -> Tally:
    item = request.items[item_id]

    def name_of(label: Label | None) -> str:
        return SKIP if label is None else request.task.label_name(label, item)

    known = request.known.get(item_id)
    if known is None:
        return tally(votes, name_of)
    reason = f"the item was labelled {name_of(known.label)} in round {known.round}, which stays"
    return Tally("labeled", rejected=[vote.reject(reason) for vote in votes if _is_news(vote, votes, known)])


def _is_news(vote: Vote, votes: list[Vote], known: Known) -> bool:
    """Tell whether an answer to a labelled item says something that was neither used nor outvoted when it was."""
    annotator = vote.answer.annotator
    if vote.label is None or vote.label in (known.label, known.votes.get(annotator)):
        return False
    counted = latest(by_annotator(votes)[annotator])
    return counted is None or counted.label != known.votes.get(annotator)


def _num_rounded(task: Task, tallies: Iterable[Tally]) -> int:
    if not isinstance(task, Regression):
        return 0
    return sum(task.is_rounded(_text(vote.answer)) for one in tallies for vote in one.votes.values())


def _text(answer: Answer) -> str:
    """Return a label as the text that a task parses."""
    return json.dumps(answer.label) if isinstance(answer.label, list) else unsafe_cell(str(answer.label).strip())


def _records(request: Request, tallies: dict[str, Tally]) -> list[Record]:
    now = utc_now()
    wanted = [*request.reasons, *sorted(request.earlier)]
    return [
        {
            "item_id": item_id,
            "label": vote.label,
            "annotator": annotator,
            "source": "files",
            "labeled_at": vote.answer.labeled_at.isoformat() if vote.answer.labeled_at else now,
            "round": request.round_of(item_id),
        }
        for item_id in wanted
        if item_id in tallies
        for annotator, vote in tallies[item_id].votes.items()
    ]
