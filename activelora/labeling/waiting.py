"""When a round has labels enough, and when it gives up waiting."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from activelora.labeling.deadlines import deadlines_of, shown
from activelora.labeling.request import Collected, Request
from activelora.moved import find_names

Action = Literal["wait", "commit", "stop"]


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """The time, and how to let it pass.

    Attributes:
        now: The time, with a zone.
        sleep: Function that waits the given number of seconds.
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

    action: Action
    reason: str


def decide(request: Request, collected: Collected, now: datetime) -> Decision:
    """Apply ``labeling.min_fraction``, ``deadline_hours`` and ``on_deadline``: a function of its arguments alone.

    The round is done when no item is open (each is labelled, skipped or deleted) or enough are labelled. At the
    deadline, or at the end of its one extension, ``proceed`` needs a new or changed label: with none, another round
    would train on the same labels again. A campaign without a single label cannot train, so it ends. A round that ends
    takes the answers to items in progress too: see :meth:`~activelora.labeling.request.Collected.closed`. So with a
    deadline every round ends, whatever state its items are in, unless ``on_deadline`` is ``wait``.

    Args:
        request: What was asked for.
        collected: What there is.
        now: The time.
    """
    config = request.campaign.config.labeling
    num_asked, num_labeled = len(request.reasons), collected.count("labeled")
    needed = math.ceil(config.min_fraction * num_asked - 1e-9)
    got = f"{num_labeled} of {num_asked} items of round {request.round} are labelled"
    closed = collected.closed()
    if collected.num_open == 0 or num_labeled >= needed:
        if not closed.num_labeled and not request.known:
            why = "skipped" if num_asked and not collected.count("deleted") else "skipped or deleted"
            return Decision("stop", f"every item of round {request.round} was {why}, and nothing is labelled yet")
        return Decision("commit", got)
    end = deadlines_of(request.campaign, request.round).end
    if end is None or now < end or config.on_deadline == "wait":
        return Decision("wait", got)
    if (num_begun := closed.count("labeled") - num_labeled) > 0:
        got += f", {num_begun} more by fewer than {config.annotators_per_item} annotators"
    extended = ", extended once," if config.on_deadline == "extend" else ""
    passed = f"the deadline for labels{extended} passed at {shown(end)}"
    if config.on_deadline == "stop":
        return Decision("stop", f"{passed}, and {got} (labeling.on_deadline is `stop`)")
    if not closed.num_labeled and not collected.corrected(request.known, config):
        return Decision("stop", f"{passed}, and not one item of round {request.round} was labelled")
    return Decision("commit", f"{passed}, and {got}")


if not TYPE_CHECKING:  # a checker of types knows the new names only
    __getattr__ = find_names(__name__)
