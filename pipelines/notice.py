"""Tells how a run ended: a record beside the campaign, and a message to a webhook."""

from __future__ import annotations

import json
import logging
import os
import time
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime

from activelora.campaign.campaign import Campaign
from activelora.config_secrets import WEBHOOK_VARIABLE
from activelora.errors import ActiveLoRAError
from components.task_log import task_log

logger = logging.getLogger(__name__)
TIMEOUT_SECONDS = 10.0
TRIES = 3


class NoticeError(ActiveLoRAError):
    """The message could not be sent."""


def tell_at(campaign_uri: str, state: str, error: str | None = None) -> None:
    """Record a run's end in the campaign at a URI, then send it. Called by the exit task, in its pod.

    Args:
        campaign_uri: The campaign.
        state: KFP's word for how the run ended, for example ``SUCCEEDED``.
        error: KFP's message, if it failed.
    """
    with task_log("tell_the_end", campaign_uri):
        text = describe(campaign_uri, state, error)
        record = {"text": text, "campaign": campaign_uri, "state": state, "error": error or ""}
        try:
            _record(campaign_uri, record)
        finally:  # a campaign that cannot be reached is the very thing to tell
            if url := os.environ.get(WEBHOOK_VARIABLE):
                send(url, record)


def describe(campaign_uri: str, state: str, error: str | None) -> str:
    """Return the message in one line."""
    words = f"ActiveLoRA: a run of {campaign_uri} ended: {state.lower()}"
    return f"{words}. {error}" if error else words


def send(url: str, content: dict[str, str], *, pause_seconds: float = 1.0) -> None:
    """Post JSON to a webhook, with a time-out and a few tries. The URL is a secret and appears in no message.

    Raises:
        NoticeError: It is no http(s) URL, it refused, or it could not be reached.
    """
    if not url.startswith(("https://", "http://")):
        raise NoticeError("the webhook is not an http(s) URL", where=WEBHOOK_VARIABLE, remedy="Mend the secret.")
    body = json.dumps(content).encode()
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(pause_seconds * 2**attempt)
        request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"}, method="POST")  # noqa: S310 - the scheme is checked
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 - the scheme is checked
                return
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"the webhook answered {error.code}"
            if error.code < 500 and error.code != 429:
                break
        except OSError as error:  # URLError and time-outs are OSErrors
            problem = f"the webhook cannot be reached: {getattr(error, 'reason', error)}"
    raise NoticeError(problem, where=WEBHOOK_VARIABLE, remedy="Look at the secret and at the network policy.")


def _record(campaign_uri: str, record: dict[str, str]) -> None:
    now = datetime.now(UTC)
    key = f"run-ends/{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}.json"
    content = json.dumps({**record, "time": now.isoformat()}, indent=1).encode()
    Campaign.open(campaign_uri).store.create(key, content)
    logger.info("recorded %s", key)
