"""Many webhooks, one tick: a debounce, which waits until a burst has passed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How soon a tick follows a webhook.

    Attributes:
        quiet_seconds: Seconds from the last webhook to the tick.
        longest_seconds: Seconds from the first webhook to the tick, at the latest.
        gap_seconds: The least number of seconds between two starts.
        busy_seconds: Seconds until the next try where a tick is under way already.
    """

    quiet_seconds: float = 20.0
    longest_seconds: float = 120.0
    gap_seconds: float = 120.0
    busy_seconds: float = 60.0


class Debounce:
    """Starts a tick after a burst of webhooks has passed. Nothing is stored: after a restart the next poll finds all.

    Args:
        start: Starts a tick; False says that one is under way, and that it is to be tried again later.
        pace: How soon.
    """

    def __init__(self, start: Callable[[], bool], pace: Pace) -> None:
        self._start = start
        self._pace = pace
        self._changed = threading.Condition()
        self._first = self._last = 0.0
        self._is_triggered = self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="debounce", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether webhooks are answered."""
        return self._thread.is_alive()

    def trigger(self) -> None:
        """Ask for a tick, and return at once."""
        with self._changed:
            self._last = time.monotonic()
            if not self._is_triggered:
                self._is_triggered, self._first = True, self._last
                self._changed.notify_all()

    def close(self, timeout_seconds: float = 30.0) -> None:
        """Answer no more webhooks, and wait for what was started."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        not_before = 0.0
        while self._wait_for_quiet(not_before):
            try:
                is_started = self._start()
            except Exception:  # the next poll finds what this one did not
                logger.exception("the tick could not be started")
                is_started = True
            if not is_started:
                self.trigger()
            pause = self._pace.gap_seconds if is_started else self._pace.busy_seconds
            not_before = time.monotonic() + pause

    def _wait_for_quiet(self, not_before: float) -> bool:
        """Wait until a burst of webhooks has passed, and take it; False where this is closed."""
        with self._changed:
            while not self._is_closed:
                if not self._is_triggered:
                    self._changed.wait()
                    continue
                quiet_at = min(self._last + self._pace.quiet_seconds, self._first + self._pace.longest_seconds)
                left = max(quiet_at, not_before) - time.monotonic()
                if left <= 0:
                    self._is_triggered = False  # a webhook from now on is answered by another tick
                    return True
                self._changed.wait(left)
            return False
