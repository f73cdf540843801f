"""What a person types: single keys on a terminal, lines where there is none."""

from __future__ import annotations

import codecs
import os
import select
import sys
from typing import Protocol

ENTER = "\r"
CHUNK_BYTES = 1024


class Keyboard(Protocol):
    """Where answers are typed."""

    by_key: bool
    """Whether :meth:`key` returns at a single key; else after a line."""

    def key(self) -> str | None:
        """Return the next key, or line; an empty text for keys that mean nothing; None at the end of the input."""

    def line(self) -> str | None:
        """Return the next line, without its end; None at the end of the input."""

    def forget(self) -> None:
        """Drop what was typed ahead: nobody can answer what was not shown yet."""


class LineKeyboard:
    """Lines from standard input: for scripts, screen readers and tests."""

    by_key = False

    def key(self) -> str | None:
        """Return the next line."""
        return self.line()

    def line(self) -> str | None:
        """Return the next line."""
        sys.stdout.flush()
        line = sys.stdin.readline()
        return line.rstrip("\r\n") if line else None

    def forget(self) -> None:
        """Do nothing: a script's lines are all there at once."""


class TerminalKeyboard:
    """Single keys of a terminal. The terminal is in its usual mode but while a key is awaited."""

    by_key = True

    def key(self) -> str | None:
        """Return one key. What comes as several at once is an arrow key or pasted text, and means nothing."""
        import termios
        import tty

        sys.stdout.flush()
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        try:
            tty.setcbreak(descriptor, termios.TCSADRAIN)
            content = os.read(descriptor, CHUNK_BYTES)
            while content[:1] in (b"\x1b",) or _is_cut(content):
                if not select.select([descriptor], [], [], 0.05)[0]:
                    break
                content += os.read(descriptor, CHUNK_BYTES)
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        if not content or content == b"\x04":
            return None
        text = content.decode(errors="replace")
        if text in ("\r", "\n"):
            return ENTER
        return text if len(text) == 1 else ""

    def line(self) -> str | None:
        """Return a line, edited with the terminal's own means."""
        sys.stdout.flush()
        line = sys.stdin.readline()
        return line.rstrip("\r\n") if line else None

    def forget(self) -> None:
        """Drop what was typed ahead."""
        import termios

        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _is_cut(content: bytes) -> bool:
    """Tell whether the bytes end within a character."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(content)
    return bool(decoder.getstate()[0])


def open_keyboard(*, lines: bool) -> Keyboard:
    """Return the keyboard of a terminal, or standard input by lines where there is none (or it is wanted)."""
    if lines or not sys.stdin.isatty() or not sys.stdout.isatty():
        return LineKeyboard()
    try:
        import termios  # noqa: F401 - not on Windows
    except ImportError:
        return LineKeyboard()
    return TerminalKeyboard()
