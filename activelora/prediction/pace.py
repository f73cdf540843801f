"""How far a long table is, and how long the rest of it takes, in words."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from activelora import progress

logger = logging.getLogger(__name__)
_MINUTE, _HOUR = 60, 3600


@dataclass
class Pace:
    """Counts the rows of one run, which may go on after the rows of an interrupted one.

    Attributes:
        now: The clock, in seconds.
    """

    now: Callable[[], float] = time.monotonic
    _begin: float = field(init=False)
    _said: float = field(init=False)
    _rows: int = field(init=False, default=0)
    _all_rows: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._begin = self._said = self.now()

    def describe(self, first: int, last: int, share_read: float | None) -> str:
        """Return what is being answered, and how long the whole run still takes where that can be estimated.

        Args:
            first: The first of the rows in work, from 1.
            last: The last of them.
            share_read: The share of the input up to there; None where nobody can tell.
        """
        self._all_rows = last / share_read if share_read else None
        text = f"rows {first:,} to {last:,}"
        if share_read is None:
            return text
        left = self._left(first - 1)
        return f"{text} ({share_read:.0%} of the input read{f'{left} in all' * bool(left)})"

    def add(self, num_rows: int, done: int) -> None:
        """Count rows that were answered, and say so now and then.

        Args:
            num_rows: How many.
            done: How many that makes with those of interrupted runs.
        """
        self._rows += num_rows
        if self.now() - self._said >= progress.LINE_SECONDS:
            self._said = self.now()
            logger.info("%s rows answered, %.0f rows/s%s", f"{done:,}", self._rate(), self._left(done))

    def _left(self, done: int) -> str:
        if not self._rows or self._all_rows is None:
            return ""
        return f", {in_words((self._all_rows - done) / self._rate())} left"

    def _rate(self) -> float:
        return self._rows / max(self.now() - self._begin, 1e-9)


def in_words(seconds: float) -> str:
    """Return a time as about so many seconds, minutes or hours."""
    if seconds < 2 * _MINUTE:
        return f"about {max(round(seconds), 1)} s"
    if seconds < 2 * _HOUR:
        return f"about {round(seconds / _MINUTE)} min"
    return f"about {round(seconds / _HOUR)} h"
