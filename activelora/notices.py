"""Messages to a webhook, whose URL is a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from activelora.errors import ActiveLoRAError

WEBHOOK_VARIABLE = "ACTIVELORA_WEBHOOK_URL"
TIMEOUT_SECONDS, TOTAL_SECONDS = 10.0, 120.0
TRIES = 3


class NoticeError(ActiveLoRAError):
    """The message could not be sent."""


def send(url: str, content: Mapping[str, Any], *, pause_seconds: float = 1.0) -> None:
    """Post JSON to a webhook, with a time-out and a few tries. The URL is a secret and appears in no message.

    Raises:
        NoticeError: It is no http(s) URL, it refused, or it could not be reached.
    """
    if not url.startswith(("https://", "http://")):
        raise NoticeError("the webhook is not an http(s) URL", where=WEBHOOK_VARIABLE, remedy="Correct the secret.")
    from activelora.http import HttpClient, Limits, NoResponseError

    limits = Limits(TIMEOUT_SECONDS, TIMEOUT_SECONDS, total_seconds=TOTAL_SECONDS)
    client = HttpClient(limits, num_tries=TRIES, pause_seconds=pause_seconds, heeds_proxies=True)
    headers, body = {"Content-Type": "application/json"}, json.dumps(content).encode()
    try:
        status = client.request("POST", url, headers=headers, body=body, is_safe=True).status  # twice is no harm
    except NoResponseError as error:
        problem = f"the webhook cannot be reached: {error.problem}"
    else:
        if 200 <= status < 300:
            return
        problem = f"the webhook answered {status}"
    raise NoticeError(problem, where=WEBHOOK_VARIABLE, remedy="Look at the secret and at the network policy.")
