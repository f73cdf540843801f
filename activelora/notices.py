"""Messages to a webhook, whose URL is a secret."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from activelora.errors import ActiveLoRAError

WEBHOOK_VARIABLE = "ACTIVELORA_WEBHOOK_URL"
TIMEOUT_SECONDS = 10.0
TRIES = 3


class NoticeError(ActiveLoRAError):
    """The message could not be sent."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for a refusal: followed, it would be a request without the message."""

    def redirect_request(self, *_: object) -> None:
        return None


def send(url: str, content: Mapping[str, Any], *, pause_seconds: float = 1.0) -> None:
    """Post JSON to a webhook, with a time-out and a few tries. The URL is a secret and appears in no message.

    Raises:
        NoticeError: It is no http(s) URL, it refused, or it could not be reached.
    """
    if not url.startswith(("https://", "http://")):
        raise NoticeError("the webhook is not an http(s) URL", where=WEBHOOK_VARIABLE, remedy="Mend the secret.")
    body, opener = json.dumps(content).encode(), urllib.request.build_opener(_NoRedirect)
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(pause_seconds * 2**attempt)
        try:
            request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310 - the scheme is checked
            with opener.open(request, timeout=TIMEOUT_SECONDS):
                return
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"the webhook answered {error.code}"
            if error.code < 500 and error.code != 429:
                break
        except OSError as error:  # URLError and time-outs are OSErrors
            problem = f"the webhook cannot be reached: {getattr(error, 'reason', error)}"
        except (http.client.HTTPException, ValueError) as error:  # whose words may hold the URL
            problem = f"the webhook is no URL or speaks no HTTP ({type(error).__name__})"
            break
    raise NoticeError(problem, where=WEBHOOK_VARIABLE, remedy="Look at the secret and at the network policy.")
