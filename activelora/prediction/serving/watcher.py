"""Looks for a new champion, and lets it take over without a lost request."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from activelora.prediction.serving.batching import Batcher, Served
from activelora.prediction.serving.measured import Measured

logger = logging.getLogger(__name__)


class Watcher:
    """Loads the new model beside the old one, swaps them between two batches, and closes the old one.

    So both are in memory for a while. Whatever fails, the old one answers on, and the next look tries again.

    Args:
        newest: Returns which model is to be served now.
        load: Loads it.
        batcher: Answers with it.
        found: The model that is served.
        seconds: Time between two looks; 0 never looks.
        measured: Takes what is measured.
    """

    def __init__(
        self,
        newest: Callable[[], str],
        load: Callable[[str], Served],
        batcher: Batcher,
        found: str,
        seconds: float,
        measured: Measured,
    ) -> None:
        self._newest = newest
        self._load = load
        self._batcher = batcher
        self._found = found
        self._seconds = seconds
        self._measured = measured
        self._said = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="champion", daemon=True)
        if seconds > 0:
            self._thread.start()

    def look(self) -> bool:
        """Look once, and tell whether another model answers now."""
        try:
            newest = self._newest()
            if newest == self._found:
                if self._said:
                    logger.info("the model that is served is the newest again")
                self._said = ""  # the same trouble tomorrow is another one
                return False
            began = time.monotonic()
            served = self._load(newest)
        except Exception as error:  # a registry or a store may fail in any way; the model that is there answers on
            self._measured.poll_failures.inc()
            if str(error) != self._said:
                logger.warning("the newest model cannot be served, and the one before is: %s", error)
            self._said = str(error)
            return False
        self._said = ""
        before = self._batcher.swap(served)
        self._found = newest
        self._measured.swaps.inc()
        self._measured.model(served.about)
        took = time.monotonic() - began
        logger.info("round %s answers now, not %s (%.1f s)", served.about["round"], before.about["round"], took)
        before.close()
        return True

    def close(self) -> None:
        """Look no more. A look that is under way ends first."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._end.wait(self._seconds):
            self.look()
