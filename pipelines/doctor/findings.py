"""What `activelora doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: What was looked at.
        state: ``failed`` keeps a campaign from running; ``warning`` may.
        words: What was found.
        remedy: What to do about it; empty where all is well.
    """

    check: str
    state: Literal["ok", "warning", "failed"]
    words: str
    remedy: str = ""


def ok(check: str, words: str) -> Finding:
    """Return that all is well."""
    return Finding(check, "ok", words)


def warning(check: str, words: str, remedy: str) -> Finding:
    """Return what may keep a campaign from running, or could not be looked at."""
    return Finding(check, "warning", words, remedy)


def failed(check: str, words: str, remedy: str) -> Finding:
    """Return what keeps a campaign from running."""
    return Finding(check, "failed", words, remedy)
