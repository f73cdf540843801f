"""What SIGINT and SIGTERM do to a command: it ends in order, wherever it is."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

TERMINATED = 143
"""Exit code after SIGTERM."""
_AGAIN_SECONDS = 0.05


class _Terminated(SystemExit):
    """SIGTERM has come."""


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Let SIGTERM, which Kubernetes sends, end this process as an interrupt does: what is to be undone is undone.

    Where a signal comes while Python runs a destructor or the callback of a weak reference, the exception that it
    raises ends there: the interpreter reports it to ``sys.unraisablehook`` and goes on. Such a signal is sent again.
    """
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield
        return
    handler, hook = signal.signal(signal.SIGTERM, _leave), sys.unraisablehook

    def send_again(unraisable: Any) -> None:
        if unraisable.exc_type is _Terminated:
            signal.signal(signal.SIGTERM, _leave)
            _send_soon(signal.SIGTERM)
        elif unraisable.exc_type is KeyboardInterrupt:
            _send_soon(signal.SIGINT)
        else:
            hook(unraisable)

    sys.unraisablehook = send_again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, handler or signal.SIG_DFL)


def _leave(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # the second one ends the process at once
    raise _Terminated(TERMINATED)


def _send_soon(number: signal.Signals) -> None:
    # By a thread: a signal that is raised here would be handled, and lost, in the same destructor.
    again = threading.Timer(_AGAIN_SECONDS, signal.pthread_kill, (threading.get_ident(), number))
    again.daemon = True
    again.start()
