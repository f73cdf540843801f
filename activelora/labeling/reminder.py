"""Reminders to a webhook before the deadline: each at most once, and never in the way of anything."""

from __future__ import annotations

import json
import os
import uuid
from datetime import UTC, datetime

from activelora.campaign.campaign import utc_now
from activelora.labeling.deadlines import deadlines_of, shown
from activelora.labeling.request import Collected, Request
from activelora.labeling.worksheet import folder_of
from activelora.notices import WEBHOOK_VARIABLE, NoticeError, send
from activelora.quantities import quantity
from activelora.redacting import redact


def remind_if_due(request: Request, collected: Collected, now: datetime) -> str:
    """Send the reminder whose moment has come, unless that was done or begun before; return what came of it.

    A write-once marker is made first: of several ticks, and of a tick that is killed and repeated, one sends. Killed
    between marker and message, none does: a second message would be worse than none. If several moments have passed
    since the last look, only the latest one counts.

    Args:
        request: What was asked for.
        collected: What there is.
        now: The time.

    Returns:
        What to log; empty if nothing was due.
    """
    moment = deadlines_of(request.campaign, request.round).due(now)
    if moment is None:
        return ""
    store, key = request.campaign.store, reminder_key(request.round, moment)
    if store.exists(key):
        return ""
    url = os.environ.get(WEBHOOK_VARIABLE)
    if not url:
        return f"a reminder is due, and {WEBHOOK_VARIABLE} is not set"
    document = _document(request, collected, now)
    if not store.create(key, json.dumps({**document, "claim": uuid.uuid4().hex}).encode()):
        return ""
    try:
        send(url, document)
    except NoticeError as error:
        outcome = f"a reminder could not be sent: {error.problem}"
    else:
        outcome = "a reminder was sent"
    store.write(f"{key.removesuffix('.json')}-outcome.json", json.dumps({"outcome": outcome, "at": utc_now()}).encode())
    return outcome


def reminder_key(round_: int, moment: datetime) -> str:
    """Return the key of the marker that a reminder is sent, or being sent."""
    return f"{folder_of(round_)}/reminders/{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}.json"


def _document(request: Request, collected: Collected, now: datetime) -> dict[str, str | int]:
    """Return the message. It holds no item's text and no annotator's name."""
    campaign, deadlines = request.campaign, deadlines_of(request.campaign, request.round)
    deadline = deadlines.deadline if deadlines.deadline and now < deadlines.deadline else deadlines.end
    until = shown(deadline) if deadline else "never"
    text = (
        f"ActiveLoRA: {campaign.config.name} waits for {collected.num_open} of {len(request.reasons)} items of round "
        f"{request.round}, until {until}"
    )
    if collected.disputes:
        text += f"; {quantity(len(collected.disputes), 'is', 'are')} for an adjudicator"
    return {
        "text": text,
        "campaign": redact(campaign.store.uri),
        "state": "WAITING",
        "round": request.round,
        "num_open": collected.num_open,
        "deadline": until,
    }
