"""What a round that waits for labels says meanwhile, to people and to programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from activelora.campaign.records import IMPORTED_SOURCE
from activelora.campaign.snapshot import Snapshot
from activelora.labeling import asking
from activelora.labeling.adjudication import adjudication_uri
from activelora.labeling.deadlines import Deadlines, deadlines_of, shown
from activelora.labeling.imports import num_imported
from activelora.labeling.registry import get_source
from activelora.labeling.request import Collected, Request, State, make_request
from activelora.labeling.worksheet import folder_of
from activelora.quantities import quantity

STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Look:
    """What a round asked for, and what the label source said.

    Attributes:
        request: What was asked for.
        collected: What there was.
    """

    request: Request
    collected: Collected


def look(seen: Snapshot, round_: int) -> Look:
    """Return who answered what in a round that waits: the label source is asked once, however many want to know."""

    def ask() -> Look:
        request = make_request(seen, round_)
        return Look(request, asking.collected(get_source(seen.config.labeling.source), request))

    return seen.once(_look_at(round_), ask)


def note_look(seen: Snapshot, request: Request, collected: Collected) -> None:
    """Note what the label source was asked and said last, for :func:`look`."""
    seen.note(_look_at(request.round), Look(request, collected))


def _look_at(round_: int) -> str:
    return f"who answered in round {round_}"


def describe_wait(request: Request, collected: Collected, now: datetime | None = None) -> str:
    """Return in words what is missing after a look, who has done what, and what happens when.

    Args:
        request: What was asked for.
        collected: What there is.
        now: The time; None is the clock's.
    """
    config = request.campaign.config.labeling
    text = f"{collected.count('labeled')} of {len(request.reasons)} labels of round {request.round} are there"
    others = [f"{collected.count(state)} {state}" for state in STATES[2:] if collected.count(state)]
    text += f" ({', '.join(others)})" if others else ""
    if num_corrected := len({record["item_id"] for record in collected.corrections}):
        text += f", new answers about {quantity(num_corrected, 'labelled item')}"
    if num := num_imported(collected):
        text += f", imported labels of {_items(num)}"
    if num_late := _num_late(request, collected):
        text += f", late answers to {_items(num_late)} of earlier rounds"
    if instructions := asking.instructions(get_source(config.source), request):
        text += f": {instructions}"
    if collected.answered and (config.annotators_per_item > 1 or len(collected.answered) > 1):
        counts = ", ".join(f"{name} {count}" for name, count in sorted(collected.answered.items()))
        text += f"; answered so far: {counts}"
    if collected.disputes:
        names = " or ".join(config.adjudicators)
        text += f"; {_items(len(collected.disputes))} for {names} to decide, see {adjudication_uri(request)}"
    if collected.rejected:
        text += (
            f"; {quantity(len(collected.rejected), 'answer was', 'answers were')} rejected, see {rejected_uri(request)}"
        )
    return text + _describe_deadlines(request, now or datetime.now(UTC))


def wait_document(request: Request, collected: Collected, now: datetime | None = None) -> dict[str, Any]:
    """Return the same for programs, ready for JSON; times are ISO 8601 in UTC."""
    config, now = request.campaign.config.labeling, now or datetime.now(UTC)
    deadlines = deadlines_of(request.campaign, request.round)
    return {
        "round": request.round,
        "num_items": len(request.reasons),
        "num_open": collected.num_open,
        "states": {state: count for state in STATES if (count := collected.count(state))},
        "annotators_per_item": config.annotators_per_item,
        "answered": dict(sorted(collected.answered.items())),
        "adjudicators": list(config.adjudicators),
        "num_late": _num_late(request, collected),
        "num_imported": num_imported(collected),
        "to_adjudicate": len(collected.disputes),
        "num_rejected": len(collected.rejected),
        "deadline": _iso(deadlines.deadline),
        "on_deadline": config.on_deadline,
        "end": None if config.on_deadline == "wait" else _iso(deadlines.end),
        "next_reminder": _iso(deadlines.next_reminder(now)),
    }


def rejected_uri(request: Request) -> str:
    """Return where the rejected answers of a round are listed."""
    return f"{request.campaign.store.uri}/{rejected_key(request.round)}"


def rejected_key(round_: int) -> str:
    """Return the key of the list of a round's rejected answers."""
    return f"{folder_of(round_)}/rejected.csv"


def _describe_deadlines(request: Request, now: datetime) -> str:
    deadlines: Deadlines = deadlines_of(request.campaign, request.round)
    if deadlines.deadline is None:
        return ""
    text, action = f"; deadline {shown(deadlines.deadline)}", request.campaign.config.labeling.on_deadline
    if action != "extend":
        text += f", then {action}"
    elif deadlines.end is None:
        text += ", then extended without end"
    elif now < deadlines.deadline:
        text += f", then extended once until {shown(deadlines.end)}"
    else:
        text += f" has passed, extended once until {shown(deadlines.end)}, then proceed"
    if moment := deadlines.next_reminder(now):
        text += f"; next reminder {shown(moment)}"
    return text


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _num_late(request: Request, collected: Collected) -> int:
    """Return how many items of earlier rounds would get their label now."""
    records = (one for one in collected.closed().records if one["source"] != IMPORTED_SOURCE)
    return len({record["item_id"] for record in records} - set(request.reasons))


def _items(count: int) -> str:
    return f"{count} item{'s' * (count != 1)}"
