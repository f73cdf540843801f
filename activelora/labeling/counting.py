"""From answers to labels and states: the rules that all sources share, whatever people answered with."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from activelora.campaign.campaign import utc_now
from activelora.campaign.records import Label
from activelora.errors import LabelError
from activelora.labeling.corrections import find_news
from activelora.labeling.inbox import Answer
from activelora.labeling.source import Collected, Record, Rejected, Request, State
from activelora.labeling.tally import Tally, Vote, tally
from activelora.labeling.worksheet import SKIP, unsafe_cell
from activelora.tasks.regression import Regression
from activelora.tasks.task import Task


def count_answers(
    request: Request,
    answers: Sequence[Answer],
    unreadable: Sequence[Rejected],
    source: str = "files",
    seen: Mapping[str, State] | None = None,
) -> Collected:
    """Return what answers come to, by the rules of :func:`activelora.labeling.tally.tally`.

    For an item that has a label, only what :func:`activelora.labeling.corrections.find_news` finds is counted.

    Args:
        request: What was asked for.
        answers: All answers.
        unreadable: What could not be read.
        source: Where the answers are from, for the records.
        seen: What the source itself knows of items without an answer that counts: for example ``in_progress`` or
            ``deleted``.
    """
    seen = seen or {}
    rejected = list(unreadable)
    votes: dict[str, list[Vote]] = defaultdict(list)
    spoiled: set[str] = set()
    for answer in answers:
        found = parse_answer(request, answer)
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
        if state == "waiting":
            state = "invalid" if item_id in spoiled else seen.get(item_id, "waiting")
        states[item_id] = state
    rejected.sort(key=lambda one: (one.file, one.line or 0, one.item_id, one.reason))
    asked = [*request.reasons, *sorted(request.earlier)]
    done = [item_id for item_id in asked if item_id in tallies and tallies[item_id].state == "labeled"]
    begun = [item_id for item_id in asked if item_id in tallies and tallies[item_id].state == "in_progress"]
    records, unfinished = (_records(request, source, item_ids, tallies) for item_ids in (done, begun))
    corrections = _records(request, source, [one for one in sorted(request.known) if one in tallies], tallies)
    num_rounded = _num_rounded(request.task, (vote for one in tallies.values() for vote in one.votes.values()))
    return Collected(records, states, rejected, corrections, num_rounded, unfinished)


def parse_answer(request: Request, answer: Answer) -> Vote | Rejected:
    """Return an answer as the task understands it, or why it does not."""
    item = request.items.get(answer.item_id)

    def reject(reason: str) -> Rejected:
        return Rejected(answer.file, answer.line, answer.item_id[:100], reason)

    if item is None:
        return reject(f"this campaign has asked for no item `{answer.item_id[:60]}`{_mangled(answer.item_id)}")
    if answer.skipped:
        return Vote(answer, None)
    text = _text(answer)
    if request.task.form == "text" and text.casefold() == SKIP:
        return Vote(answer, None)
    try:
        is_integer = isinstance(answer.label, int) and not isinstance(answer.label, bool)
        return Vote(answer, request.task.parse_label(answer.label if is_integer else text, item))
    except LabelError as error:
        if text.casefold() == SKIP:
            return Vote(answer, None)
        if text.endswith(".0") and text[:-2].isdecimal():  # how pandas writes whole numbers beside gaps
            return parse_answer(request, Answer(**{**vars(answer), "label": text[:-2]}))
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
        return tally(votes, name_of, request.campaign.config.labeling.annotators_per_item)
    news = find_news(votes, known)
    found = tally(news.fresh, name_of)
    reason = (
        f"this annotator gave the same answer before, and the item was labelled {name_of(known.label)} in round "
        f"{known.round}, which stays; if the answer is meant anew, add a column labeled_at"
    )
    return Tally(found.state, found.votes, [*found.rejected, *(vote.reject(reason) for vote in news.repeated)])


def _num_rounded(task: Task, votes: Iterable[Vote]) -> int:
    return sum(isinstance(task, Regression) and task.is_rounded(_text(vote.answer)) for vote in votes)


def _text(answer: Answer) -> str:
    """Return a label as the text that a task parses."""
    return json.dumps(answer.label) if isinstance(answer.label, list) else unsafe_cell(str(answer.label).strip())


def _records(request: Request, source: str, item_ids: Sequence[str], tallies: Mapping[str, Tally]) -> list[Record]:
    now = utc_now()
    return [
        {
            "item_id": item_id,
            "label": vote.label,
            "annotator": annotator,
            "source": vote.answer.source or source,
            "labeled_at": vote.answer.labeled_at.isoformat() if vote.answer.labeled_at else now,
            "round": request.round_of(item_id),
            "origin": vote.answer.file,
        }
        for item_id in item_ids
        for annotator, vote in tallies[item_id].votes.items()
    ]
