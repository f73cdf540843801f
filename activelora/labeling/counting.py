"""From answers to labels and states: the rules that all sources share, whatever people answered with."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from activelora.campaign.campaign import utc_now
from activelora.campaign.labels import time_of
from activelora.campaign.manifest import Unit
from activelora.campaign.records import SETTLED_SOURCES, Label
from activelora.errors import LabelError
from activelora.labeling.corrections import find_news
from activelora.labeling.inbox import Answer
from activelora.labeling.request import CLOSED, Ballot, Collected, Known, Record, Rejected, Request, State
from activelora.labeling.tally import Rules, Tally, Vote, by_annotator, latest, tally
from activelora.labeling.worksheet import SKIP, unsafe_cell
from activelora.tasks.task import Task
from activelora.tasks.written import is_no_label, read_label


def count_answers(
    request: Request,
    answers: Sequence[Answer],
    unreadable: Sequence[Rejected],
    source: str = "files",
    seen: Mapping[str, State] | None = None,
) -> Collected:
    """Return what answers come to, by the rules of :func:`activelora.labeling.tally.tally`.

    For an item that has a label, only what :func:`activelora.labeling.corrections.find_news` finds is counted. With
    ``labeling.annotators_per_item`` of 1 it replaces the label. With more, an annotator's new answer replaces that
    annotator's vote alone, and the majority of all votes counts; where that is a tie, the label stays. What an
    adjudicator decided, only adjudicators change.

    Args:
        request: What was asked for.
        answers: All answers.
        unreadable: What could not be read.
        source: Name of the label source that the answers are from, for the records.
        seen: What the source itself knows of items without an answer that counts: for example ``in_progress`` or
            ``deleted``. A deleted item is closed with the answers that it had.
    """
    seen = seen or {}
    rejected = list(unreadable)
    votes: dict[str, list[Vote]] = defaultdict(list)
    spoiled: set[str] = set()
    for answer in answers:
        found = parse_answer(request, answer)
        if isinstance(found, Vote):
            if found.label is not None or _identity(answer) not in request.passed:
                votes[answer.item_id].append(found)
        else:
            rejected.append(found)
            spoiled.add(answer.item_id)
    ballots = _ballots(request, votes)
    votes = {item_id: own for item_id, own in votes.items() if item_id not in request.gold}
    tallies = {
        item_id: _tally(request, item_id, votes[item_id], is_closed=seen.get(item_id) == "deleted")
        for item_id in sorted(votes)
    }
    rejected += [one for item_id in tallies for one in tallies[item_id].rejected]
    states = {item_id: _state(item_id, tallies, spoiled, seen) for item_id in request.reasons}
    rejected.sort(key=lambda one: (one.file, one.line or 0, one.item_id, one.reason))
    asked = [item_id for item_id in (*request.reasons, *sorted(request.earlier)) if item_id in tallies]
    return Collected(
        records=_records(request, source, asked, tallies, "labeled"),
        states=states,
        rejected=rejected,
        corrections=_records(request, source, [one for one in tallies if one in request.known], tallies, "labeled"),
        num_rounded=_num_rounded(request.task, (vote for one in tallies.values() for vote in one.votes.values())),
        unfinished=_records(request, source, asked, tallies, "in_progress"),
        answered=Counter(name for item_id in request.reasons for name in by_annotator(votes.get(item_id, ()))),
        disputes={
            item_id: one.dispute for item_id, one in tallies.items() if one.dispute and states.get(item_id) != "deleted"
        },
        passed=sorted(
            _identity(vote.answer)
            for item_id in request.reasons
            if states[item_id] == "skipped"
            for vote in votes.get(item_id, ())
        ),
        ballots=ballots,
    )


def _state(item_id: str, tallies: Mapping[str, Tally], spoiled: Collection[str], seen: Mapping[str, State]) -> State:
    """Return an item's state: by its answers, else by what the source knows of it."""
    state = tallies[item_id].state if item_id in tallies else "waiting"
    if state == "waiting":
        state = "invalid" if item_id in spoiled else seen.get(item_id, "waiting")
    return "deleted" if seen.get(item_id) == "deleted" and state not in CLOSED else state


def _ballots(request: Request, votes: Mapping[str, Sequence[Vote]]) -> list[Ballot]:
    """Return each annotator's answer to what this round asks for; of different ones the latest, if that is known."""
    asked = {item_id: votes[item_id] for item_id in request.asked if item_id in votes}
    again = [item_id for item_id in asked if item_id in request.gold and request.gold[item_id].again]
    if again:
        since = datetime.fromisoformat(request.campaign.require(Unit("select_batch", request.round)).finished_at)
        for item_id in again:  # an earlier round has counted what is older, or may have
            times = ((vote, vote.answer.labeled_at) for vote in asked[item_id])
            asked[item_id] = [vote for vote, time in times if time is not None and time >= since]
    found = ((item_id, name, latest(own)) for item_id in asked for name, own in by_annotator(asked[item_id]).items())
    return [Ballot(item_id, name, vote.label) for item_id, name, vote in found if vote is not None]


def parse_answer(request: Request, answer: Answer) -> Vote | Rejected:
    """Return an answer as the task understands it, or why it does not."""

    def reject(reason: str) -> Rejected:
        return Rejected(answer.file, answer.line, answer.item_id[:100], reason)

    if answer.item_id not in request.items:
        return reject(f"this campaign has asked for no item `{answer.item_id[:60]}`{_mangled(answer.item_id)}")
    if answer.skipped:
        return Vote(answer, None)
    item, text = request.judged_item(answer.item_id), _text(answer)
    if request.task.kind.writes and text.casefold() == SKIP:
        return Vote(answer, None)
    try:
        return Vote(answer, read_label(request.task, raw_of(answer), item, request.campaign.config.data.label_numbers))
    except LabelError as error:
        if text.casefold() == SKIP:
            return Vote(answer, None)
        if is_no_label(request.task, answer.label):
            return reject(f"-1 stands for no label: leave the cell empty, or write {SKIP}")
        return reject(error.problem)


def _mangled(item_id: str) -> str:
    is_number = item_id.replace(".", "", 1).replace("E+", "", 1).replace("e+", "", 1).isdecimal()
    return ": a spreadsheet has turned the id into a number, copy it from to_label.csv" if is_number else ""


def _identity(answer: Answer) -> tuple[str, ...]:
    """Return what tells an answer from others, as text."""
    time = answer.labeled_at.isoformat() if answer.labeled_at else ""
    return (answer.item_id, answer.annotator, answer.file, str(answer.line), time)


def _tally(request: Request, item_id: str, votes: list[Vote], *, is_closed: bool) -> Tally:
    item, rules = request.judged_item(item_id), Rules.of(request.campaign.config.labeling)
    enough = replace(rules, num_annotators=1)

    def name_of(label: Label | None) -> str:
        return SKIP if label is None else request.task.label_name(label, item)

    known = request.known.get(item_id)
    if known is None:
        return tally(votes, name_of, enough if is_closed else rules)
    news = find_news(votes, known)
    found = Tally("waiting")
    if news.fresh:
        found = tally([*news.fresh, *_earlier_votes(known, news.fresh, rules)], name_of, enough)
    reason = (
        f"this annotator gave the same answer before, and the item was labelled {name_of(known.label)} in round "
        f"{known.round}, which stays; if the answer is meant anew, add a column labeled_at"
    )
    rejected = [one for one in found.rejected if one.line != _EARLIER]
    return replace(found, rejected=[*rejected, *(vote.reject(reason) for vote in news.repeated)])


def _earlier_votes(known: Known, fresh: Sequence[Vote], rules: Rules) -> list[Vote]:
    """Return the votes of earlier rounds that count beside new ones: with one annotator an item, only rulings.

    Labels that were known before, or imported, are nobody's votes: they give way.
    """
    names = {vote.answer.annotator for vote in fresh}
    return [
        Vote(_answer_of(record), record["label"])
        for record in known.current
        if record["source"] not in SETTLED_SOURCES
        and record["annotator"] not in names
        and (rules.num_annotators > 1 or record["annotator"] in rules.adjudicators)
    ]


_EARLIER = -1
"""The line of an answer that is a record of an earlier round: it is not reported as one that cannot be used."""


def _answer_of(record: Record) -> Answer:
    origin, label = record.get("origin") or "", record["label"]
    return Answer(origin, _EARLIER, record["item_id"], label, record["annotator"], time_of(record))


def _num_rounded(task: Task, votes: Iterable[Vote]) -> int:
    return sum(task.is_rounded(_text(vote.answer)) for vote in votes)


def raw_of(answer: Answer) -> int | str:
    """Return a label as a task reads it: a whole number, or text."""
    if isinstance(answer.label, int) and not isinstance(answer.label, bool):
        return answer.label
    return _text(answer)


def _text(answer: Answer) -> str:
    """Return a label as the text that a task parses."""
    return json.dumps(answer.label) if isinstance(answer.label, list) else unsafe_cell(str(answer.label).strip())


def _records(
    request: Request, source: str, item_ids: Sequence[str], tallies: Mapping[str, Tally], state: State
) -> list[Record]:
    """Return the votes on the items that are in a state; a vote of an earlier round as it was recorded then."""
    now = utc_now()
    records: list[Record] = []
    for item_id in (one for one in item_ids if tallies[one].state == state):
        known = request.known.get(item_id)
        current = {record["annotator"]: record for record in known.current} if known else {}
        for annotator, vote in tallies[item_id].votes.items():
            answer = vote.answer
            new = {
                "item_id": item_id,
                "label": vote.label,
                "annotator": annotator,
                "source": answer.source or source,
                "labeled_at": answer.labeled_at.isoformat() if answer.labeled_at else now,
                "round": request.round_of(item_id),
                "origin": answer.file,
            }
            records.append(current[annotator] if answer.line == _EARLIER else new)
    return records
