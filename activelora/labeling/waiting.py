"""When a round has labels enough, when it gives up waiting, and what it says meanwhile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.labeling.registry import get_source
from activelora.labeling.source import Collected, Request, State, make_request
from activelora.labeling.worksheet import folder_of

STATES: tuple[State, ...] = ("labeled", "waiting", "in_progress", "skipped", "invalid", "conflicting", "deleted")


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """The time, and how to let it pass.

    Attributes:
        now: The time, with a zone.
        sleep: Wait so many seconds.
    """

    now: Callable[[], datetime] = _utc
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Decision:
    """What to do after a look.

    Attributes:
        action: ``wait``; ``commit`` the labels that are there; or ``stop``: commit them and end the campaign.
        reason: Why, in words.
    """

    action: Literal["wait", "commit", "stop"]
    reason: str


def decide(request: Request, collected: Collected, now: datetime) -> Decision:
    """Apply ``labeling.min_fraction``, ``deadline_hours`` and ``on_deadline``.

    The round is done when no item is open (each is labelled, skipped or deleted) or enough are labelled. At the
    deadline ``proceed`` needs a new or changed label: with none, another round would train on the same labels again. A
    campaign without a single label cannot train, so it ends. A round that ends takes the answers to items in progress
    too: see :meth:`~activelora.labeling.source.Collected.closed`.

    Args:
        request: What was asked for.
        collected: What there is.
        now: The time.
    """
    config = request.campaign.config.labeling
    num_asked, num_labeled = len(request.reasons), collected.count("labeled")
    num_open = num_asked - num_labeled - collected.count("skipped") - collected.count("deleted")
    needed = math.ceil(config.min_fraction * num_asked - 1e-9)
    got = f"{num_labeled} of {num_asked} items of round {request.round} are labelled"
    if num_open == 0 or num_labeled >= needed:
        if num_asked and not collected.closed().num_labeled and not request.known:
            return Decision("stop", f"every item of round {request.round} was skipped, and nothing is labelled yet")
        return Decision("commit", got)
    deadline = deadline_of(request.campaign, request.round)
    if deadline is None or now < deadline or config.on_deadline == "wait":
        return Decision("wait", got)
    passed = f"the deadline for labels passed at {_shown(deadline)}"
    if config.on_deadline == "stop":
        return Decision("stop", f"{passed}, and {got} (labeling.on_deadline is `stop`)")
    if not collected.closed().num_labeled and not collected.corrected(request.known):
        return Decision("stop", f"{passed}, and not one item of round {request.round} was labelled")
    return Decision("commit", f"{passed}, and {got}")


def deadline_of(campaign: Campaign, round_: int) -> datetime | None:
    """Return when waiting for a round's labels ends, counted from its selection; None for never."""
    hours = campaign.config.labeling.deadline_hours
    if hours is None:
        return None
    selected_at = datetime.fromisoformat(campaign.require(Unit("select_batch", round_)).finished_at)
    try:
        return selected_at + timedelta(hours=hours)
    except OverflowError:
        return None


def waiting_for(campaign: Campaign, round_: int) -> str:
    """Return in words what a round waits for, where people find it and until when. Looks, and changes nothing.

    Empty if the round does not wait for labels now.
    """
    select, await_ = Unit("select_batch", round_), Unit("await_labels", round_)
    if campaign.manifest(select) is None or campaign.manifest(await_) is not None:
        return ""
    request = make_request(campaign, round_)
    return describe_wait(request, get_source(campaign.config.labeling.source).collect(request))


def describe_wait(request: Request, collected: Collected) -> str:
    """Return in words what is missing after a look."""
    config = request.campaign.config.labeling
    text = f"{collected.count('labeled')} of {len(request.reasons)} labels of round {request.round}"
    others = [f"{collected.count(state)} {state}" for state in STATES[2:] if collected.count(state)]
    text += f" ({', '.join(others)})" if others else ""
    if collected.corrections:
        text += f", new answers about {len({record['item_id'] for record in collected.corrections})} labelled items"
    if instructions := get_source(config.source).instructions(request):
        text += f": {instructions}"
    if collected.rejected:
        text += f"; {len(collected.rejected)} answers were rejected, see {rejected_uri(request)}"
    if deadline := deadline_of(request.campaign, request.round):
        text += f"; deadline {_shown(deadline)}, then {config.on_deadline}"
    return text


def rejected_uri(request: Request) -> str:
    """Return where the rejected answers of a round are listed."""
    return f"{request.campaign.store.uri}/{rejected_key(request.round)}"


def rejected_key(round_: int) -> str:
    """Return the key of the list of a round's rejected answers."""
    return f"{folder_of(round_)}/rejected.csv"


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
