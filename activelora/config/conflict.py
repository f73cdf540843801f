"""Two settings that are each allowed, but not together."""

from __future__ import annotations

from typing import NamedTuple


class Conflict(NamedTuple):
    """A setting that another one rules out.

    Attributes:
        key: The setting, dotted.
        problem: What cannot be, and why.
        remedy: What to change.
    """

    key: str
    problem: str
    remedy: str
