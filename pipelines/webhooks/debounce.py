"""Many webhooks, one tick: a bell that is rung often and answered seldom."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """When a bell is answered.

    Attributes:
        quiet_seconds: So long after the last ring.
        longest_seconds: But at the latest so long after the first one.
        gap_seconds: The least time between two starts.
        busy_seconds: Where a tick is under way already, try again after this.
    """

    quiet_seconds: float = 20.0
    longest_seconds: float = 120.0
    gap_seconds: float = 120.0
    busy_seconds: float = 60.0


class Bell:
    """Starts a tick after a burst of rings has passed. Nothing is kept: after a restart the next poll finds all.

    Args:
        start: Starts a tick; False says that one is under way, and that it is to be tried again later.
        pace: When.
    """

    def __init__(self, start: Callable[[], bool], pace: Pace) -> None:
        self._start = start
        self._pace = pace
        self._changed = threading.Condition()
        self._first = self._last = 0.0
        self._is_rung = self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether rings are answered."""
        return self._thread.is_alive()

    def ring(self) -> None:
        """Ask for a tick, and return at once."""
        with self._changed:
            self._last = time.monotonic()
            if not self._is_rung:
                self._is_rung, self._first = True, self._last
                self._changed.notify_all()

    def close(self, timeout_seconds: float = 30.0) -> None:
        """Answer no more rings, and wait for what was started."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        not_before = 0.0
        while self._wait_for_rings(not_before):
            try:
                is_started = self._start()
            except Exception:  # the next poll finds what this one did not
                logger.exception("the tick could not be started")
                is_started = True
            if not is_started:
                self.ring()
            pause = self._pace.gap_seconds if is_started else self._pace.busy_seconds
            not_before = time.monotonic() + pause

    def _wait_for_rings(self, not_before: float) -> bool:
        """Wait until a burst of rings has passed, and take it; False where the bell is closed."""
        with self._changed:
            while not self._is_closed:
                if not self._is_rung:
                    self._changed.wait()
                    continue
                quiet_at = min(self._last + self._pace.quiet_seconds, self._first + self._pace.longest_seconds)
                left = max(quiet_at, not_before) - time.monotonic()
                if left <= 0:
                    self._is_rung = False  # a ring from now on is answered by another tick
                    return True
                self._changed.wait(left)
            return False
