"""Tells how a run ended: a record beside the campaign, and a message to a webhook."""

from __future__ import annotations

import json
import logging
import os
import uuid
from datetime import UTC, datetime

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import next_plan, waits_for_people
from activelora.errors import ActiveLoRAError
from activelora.notices import WEBHOOK_VARIABLE, send
from components.task_context import task

logger = logging.getLogger(__name__)


def tell_at(campaign_uri: str, state: str, error: str | None = None) -> None:
    """Record a run's end in the campaign at a URI, then send it. Called by the exit task, in its pod.

    Args:
        campaign_uri: The campaign.
        state: KFP's word for how the run ended, for example ``SUCCEEDED``.
        error: KFP's message, if it failed.
    """
    with task("tell_the_end", campaign_uri) as here:
        status, refused = "", None
        try:
            status = status_in_words(here.campaign)
        except ActiveLoRAError as problem:  # a campaign that cannot be reached is the very thing to tell
            refused = problem
        record = {
            "text": describe(campaign_uri, state, error, status),
            "campaign": campaign_uri,
            "state": state,
            "error": error or "",
        }
        try:
            if refused is not None:
                raise refused
            _record(here.campaign, record)
        finally:
            if url := os.environ.get(WEBHOOK_VARIABLE):
                send(url, record)


def describe(campaign_uri: str, state: str, error: str | None, status: str) -> str:
    """Return the message in one line.

    Args:
        campaign_uri: The campaign.
        state: KFP's word. It says ``RUNNING`` of runs with loops that went well, and of runs that were terminated.
        error: KFP's message, if it failed.
        status: The campaign's own status in words; empty where it is not known.
    """
    ended = {"SUCCEEDED": "ended well", "FAILED": "failed"}.get(state, "ended")
    words = [f"ActiveLoRA: a run of {campaign_uri} {ended}", error, status]
    return ". ".join(one.rstrip(". ") for one in words if one)


def status_in_words(campaign: Campaign) -> str:
    """Return where a campaign stands by its ledger, whatever the engine says of the run."""
    plan = next_plan(campaign)
    if plan.status != "work":
        return f"The campaign has ended: {plan.reason}"
    if waits_for_people(campaign, plan):
        return f"Round {plan.round} waits for labels"
    return f"Next: {plan.units[0]}"


def _record(campaign: Campaign, record: dict[str, str]) -> None:
    now = datetime.now(UTC)
    key = f"run-ends/{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}.json"
    content = json.dumps({**record, "time": now.isoformat()}, indent=1).encode()
    campaign.store.create(key, content)
    logger.info("recorded %s", key)
