"""What a secret looks like, and texts without them: the one place that knows, for logs, errors and settings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from urllib.parse import quote

HIDDEN = "***"
_SHORTEST_SECRET = 6
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_SECRET_VARIABLE = re.compile(
    r"(^|_)(SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIALS?|WEBHOOK_URL|(API|ACCESS|PRIVATE|SECRET)_?KEY)(_|$)", re.I
)
_SECRET_KEY = re.compile(
    r"(^|[_\-. ])(password|passwd|passphrase|pwd|secret|token|credentials?|(api|access|private|secret)[_-]?key)"
    r"([_\-. ](id|key|value))?$",
    re.IGNORECASE,
)
_PARAMETERS = r"password|token|signature|sig|api[_-]?key|x-amz-[a-z\-]+"
_CREDENTIALS = r"(?<=://)[^/\s]*@"  # up to the last @: passwords may hold one
_IN_TEXT = re.compile(rf"{_CREDENTIALS}|(?<=[?&])(?P<name>{_PARAMETERS})=[^&\s\"']*", re.IGNORECASE)
_IN_SETTING = re.compile(
    r"[a-z][a-z0-9+.\-]*://[^/@\s]*:[^/@\s]*@"  # user:password@host
    r"|https?://[^/@\s]+@"  # token@host
    rf"|[?&]({_PARAMETERS})=",
    re.IGNORECASE,
)


def without_secrets(text: str, *secrets: str) -> str:
    """Return a text without the values of secret environment variables, and without credentials in URIs.

    Args:
        text: What is to be shown.
        secrets: More values to hide, whatever their length.
    """
    return redactor(*secrets)(text)


def redactor(*secrets: str) -> Callable[[str], str]:
    """Return :func:`without_secrets` for several texts: the environment is read once."""
    hidden = {*_environment_secrets(), *filter(None, secrets)}
    # The longest first: a secret may hold another.
    ordered = sorted(hidden | {quote(value, safe="") for value in hidden}, key=lambda one: (-len(one), one))

    def redacted(text: str) -> str:
        for secret in ordered:
            text = text.replace(secret, HIDDEN)
        return _IN_TEXT.sub(lambda found: f"{found['name']}={HIDDEN}" if found["name"] else f"{HIDDEN}@", text)

    return redacted


def without_credentials(text: str) -> str:
    """Return a text with the user and password taken out of every URI in it."""
    return re.sub(_CREDENTIALS, "", text)


def redact(uri: str) -> str:
    """Return the URI without the user name, password and query it may carry: fit for messages."""
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return uri
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}".partition("?")[0]


def is_secret_name(variable: str) -> bool:
    """Tell whether an environment variable's name says that its value is a secret, which no log line shows."""
    return _VARIABLE.fullmatch(variable) is not None and _SECRET_VARIABLE.search(variable) is not None


def is_secret_key(key: str) -> bool:
    """Tell whether a key in a campaign file says that its value is a secret."""
    return _SECRET_KEY.search(key) is not None


def holds_secret(value: str) -> bool:
    """Tell whether a value in a campaign file is a URI that carries credentials."""
    return _IN_SETTING.search(value) is not None


def _environment_secrets() -> set[str]:
    """Return the secrets in the environment. What is shorter than six characters hides no ordinary words, and stays."""
    variables = ((name, value) for name, value in os.environ.items() if not name.endswith("_FILE"))
    return {value for name, value in variables if len(value) >= _SHORTEST_SECRET and _SECRET_VARIABLE.search(name)}
