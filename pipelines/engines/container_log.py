"""The log of a container as it runs, and its end, of an engine that may answer late or not at all."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker.models.containers import Container

logger = logging.getLogger(__name__)
_LOG_SECONDS = 5.0
_AGAIN_SECONDS = 1.0
_FIRST_LOOK_SECONDS = 0.05
_LOOK_SECONDS = 1.0
_ENDED = ("exited", "dead", "stopped")


class FollowedLog:
    """A container's log on stdout as it grows, each byte once; leaving the context shows what is missing.

    The request that follows a log is not to be waited for. podman answers it with the container's first line only, so
    that a step which is silent for a minute meets the client's time-out; and where the container ends while podman
    begins to follow, it may never answer. What that request has not shown at the end is fetched by another one.

    Args:
        container: A container that runs, and that has ended when the context is left without an error.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        self._lock = threading.Lock()
        self._num_shown = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="container-log", daemon=True)

    def __enter__(self) -> FollowedLog:
        """Begin to follow."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Show what is missing."""
        if kind is None:
            self._thread.join(_LOG_SECONDS)
        with self._lock:
            self._over.set()
        if kind is None:
            self._show([self._container.logs(stream=False, follow=False)])

    def _follow(self) -> None:
        while not self._over.is_set():
            try:
                self._show(self._container.logs(stream=True, follow=True), follows=True)
                return
            except Exception as error:  # whether the engine still answers is the wait's to find out
                logger.debug("the log is asked for again: %s", error)
                self._over.wait(_AGAIN_SECONDS)

    def _show(self, chunks: Iterable[bytes], follows: bool = False) -> None:
        """Write what is new in a log that is given from its beginning."""
        position = 0
        for chunk in chunks:
            with self._lock:
                if follows and self._over.is_set():
                    return
                new = chunk[max(0, self._num_shown - position) :]
                position += len(chunk)
                self._num_shown = max(self._num_shown, position)
                sys.stdout.write(new.decode(errors="replace"))


def exit_code(container: Container) -> int:
    """Return a container's exit code once it has ended, however long that takes, as long as its engine answers.

    It is looked at now and then: a request that waits for the end keeps a core busy in podman (4.3) meanwhile.

    Raises:
        requests.RequestException: The engine does not answer.
        docker.errors.DockerException: It failed, or does not know the container.
    """
    pause = _FIRST_LOOK_SECONDS
    while container.status not in _ENDED:
        time.sleep(pause)
        pause = min(2 * pause, _LOOK_SECONDS)
        container.reload()
    return int(container.wait(timeout=container.client.api.timeout)["StatusCode"])
