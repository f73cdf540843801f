"""Label Studio's two kinds of API tokens, distinguished by their form.

A legacy token is sent as it is. A personal access token is a JWT that buys access tokens, each good for five minutes.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable

EARLY_SECONDS = 30.0
"""An access token is replaced this number of seconds before it ends: clocks differ, and requests take time."""


class Credentials:
    """Makes the ``Authorization`` header.

    Args:
        token: Legacy or personal access token.
        refresh: Asks the server for an access token.
        now: Seconds since 1970.
    """

    def __init__(self, token: str, refresh: Callable[[str], str], now: Callable[[], float] = time.time) -> None:
        self.is_personal = expiry_of(token) is not None
        self._token = token
        self._refresh = refresh
        self._now = now
        self._access = ""
        self._until = 0.0

    def header(self) -> str:
        """Return the header's value, with an access token that is good for a while."""
        if not self.is_personal:
            return f"Token {self._token}"
        if not self._access or self._now() > self._until - EARLY_SECONDS:
            self._access = self._refresh(self._token)
            self._until = expiry_of(self._access) or self._now()
        return f"Bearer {self._access}"

    def renew(self) -> bool:
        """Forget the access token, and tell whether there was one: a refused request is then worth a second try."""
        had, self._access = bool(self._access), ""
        return had


def expiry_of(token: str) -> float | None:
    """Return when a JWT ends, in seconds since 1970; None if the token is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
