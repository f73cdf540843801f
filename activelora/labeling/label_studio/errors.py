"""What can go wrong between here and a Label Studio server, each with its remedy."""

from __future__ import annotations

import json

from activelora.errors import ActiveLoRAError
from activelora.http import NoResponseError
from activelora.redacting import without_secrets

TOKEN_VARIABLE = "LABEL_STUDIO_API_KEY"  # noqa: S105 - a name, not a token
REMEDIES = {
    400: "This is likely a difference between versions: Label Studio 1.23 is what is tested.",
    401: (
        f"Set {TOKEN_VARIABLE} to a token of Label Studio (Account & Settings, Personal Access Token; or "
        "`activelora label-studio token URL`). It may have been revoked or replaced. Legacy tokens work only where the "
        "organisation allows them. Nothing is lost."
    ),
    403: "Give the token's user access to the project. Nothing is lost.",
    404: "Look at labeling.label_studio.url. Nothing is lost.",
    409: "Somebody changed the same thing at the same time: try again.",
    429: "The server is asked too often: raise labeling.poll_seconds, or look for other clients. Nothing is lost.",
}
_SERVER = "The server has trouble: look at its log. Nothing is lost, and the next tick goes on."
_MAX_DETAIL = 300


class LabelStudioError(ActiveLoRAError):
    """Label Studio cannot be used, or does not do what is asked.

    Args:
        problem: What is wrong.
        where: Method and address.
        remedy: What to do.
        status: HTTP status, if there was an answer.
        passes: Whether the same may succeed later: the server is busy, away or in trouble.
    """

    def __init__(
        self, problem: str, *, where: str = "", remedy: str = "", status: int | None = None, passes: bool = False
    ) -> None:
        super().__init__(problem, where=where, remedy=remedy)
        self.status = status
        self.passes = passes


def refused(status: int, content: bytes, where: str) -> LabelStudioError:
    """Return the error of an answer that is no success."""
    passes = status in (409, 429) or status >= 500
    problem = f"Label Studio answers with status {status}{_detail(content)}"
    if 300 <= status < 400:
        remedy = "It sends on to another address, where a token is not sent: set labeling.label_studio.url to that one."
    else:
        remedy = REMEDIES.get(status, _SERVER if status >= 500 else REMEDIES[400])
    return LabelStudioError(problem, where=where, remedy=remedy, status=status, passes=passes)


def unreachable(error: NoResponseError, where: str) -> LabelStudioError:
    """Return the error of no answer at all."""
    words = "answer in time" if error.is_slow else "answer"
    remedy = (
        "Look at labeling.label_studio.url, the network and the server; a slow one needs a larger "
        "labeling.label_studio.timeout_seconds. Nothing is lost, and the next tick goes on."
    )
    problem = f"Label Studio does not {words} ({error.problem}; {error.num_tries} tries)"
    return LabelStudioError(problem, where=where, remedy=remedy, passes=True)


def _detail(content: bytes) -> str:
    """Return what the server says, if it is short enough to be of use."""
    try:
        document = json.loads(content)
    except ValueError:
        return ""
    if not isinstance(document, dict):
        return ""
    said = document.get("validation_errors") or document.get("detail")
    return f": {without_secrets(str(said))[:_MAX_DETAIL]}" if said else ""
