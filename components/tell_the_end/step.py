"""Tells how a run ended: a record beside the campaign, and a message to a webhook."""

from __future__ import annotations

import json
import logging
import os
import uuid
from datetime import UTC, datetime

from activelora.campaign.campaign import Campaign
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
        text = describe(campaign_uri, state, error)
        record = {"text": text, "campaign": campaign_uri, "state": state, "error": error or ""}
        try:
            _record(here.campaign, record)
        finally:  # a campaign that cannot be reached is the very thing to tell
            if url := os.environ.get(WEBHOOK_VARIABLE):
                send(url, record)


def describe(campaign_uri: str, state: str, error: str | None) -> str:
    """Return the message in one line."""
    words = f"ActiveLoRA: a run of {campaign_uri} ended: {state.lower()}"
    return f"{words}. {error}" if error else words


def _record(campaign: Campaign, record: dict[str, str]) -> None:
    now = datetime.now(UTC)
    key = f"run-ends/{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}.json"
    content = json.dumps({**record, "time": now.isoformat()}, indent=1).encode()
    campaign.store.create(key, content)
    logger.info("recorded %s", key)
