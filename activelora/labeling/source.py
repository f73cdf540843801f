"""Where labels come from: the one protocol of all label sources."""

from __future__ import annotations

import warnings
from typing import Any, Protocol, runtime_checkable

from activelora.labeling import request as requests
from activelora.labeling.request import Collected, Request

_MOVED = frozenset(
    {
        "CLOSED",
        "PASSED",
        "Ballot",
        "Known",
        "Record",
        "Rejected",
        "State",
        "make_request",
        "open_request",
        "withheld_items",
    }
)
"""What lay here until 0.1: sources of other packages import it from here. It goes with 0.3.0."""


@runtime_checkable
class Source(Protocol):
    """A label source. Both operations may be repeated at any time, and by two processes at once."""

    @property
    def name(self) -> str:
        """As written in the campaign file."""

    @property
    def summary(self) -> str:
        """One line for ``activelora list sources``."""

    def publish(self, request: Request) -> None:
        """Ask for the labels, unless that was done before."""

    def collect(self, request: Request) -> Collected:
        """Return what is known now. Changes nothing."""

    def instructions(self, request: Request) -> str:
        """Return in one sentence what a person has to do; nothing if no person has to."""


def __getattr__(name: str) -> Any:
    """Return what is now in :mod:`activelora.labeling.request`, with a warning."""
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = requests.__name__
    message = f"{__name__}.{name} is now {new}.{name}; the old name goes after ActiveLoRA 0.2"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return getattr(requests, name)
