"""Progress of long loops: a bar with rate and time left on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Element = TypeVar("Element")
logger = logging.getLogger(__name__)

LINE_SECONDS = 10.0
"""Time between two log lines where there is no terminal."""


@lru_cache(maxsize=1)
def terminal_console() -> Console:
    """Return the one console for bars and log lines on a terminal: from another, lines would land on the bars."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def track(elements: Iterable[Element], description: str, total: int | None, unit: str = "") -> Iterator[Element]:
    """Yield the elements and show how far the loop is.

    Args:
        elements: What to loop over.
        description: What is being done, for example ``scoring the pool``; empty shows nothing.
        total: How many elements there are; None where that is not known.
        unit: Plural name of the elements, where the description does not tell what is counted.
    """
    if not description:
        yield from elements
    elif sys.stderr.isatty():
        yield from _with_bar(elements, description, total, unit)
    else:
        yield from _with_lines(elements, description, total, unit)


def _with_bar(elements: Iterable[Element], description: str, total: int | None, unit: str) -> Iterator[Element]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{unit} {task.speed or 0:.1f}/s".strip())

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal_console(), transient=True) as progress:
        task = progress.add_task(description, total=total)
        for element in elements:
            yield element
            progress.advance(task)


def _with_lines(elements: Iterable[Element], description: str, total: int | None, unit: str) -> Iterator[Element]:
    begin = last = time.monotonic()
    counted = f" {unit}" * bool(unit)
    for count, element in enumerate(elements, 1):
        yield element
        now = time.monotonic()
        if now - last >= LINE_SECONDS:
            last = now
            rate = count / (now - begin)
            if total is None:
                logger.info("%s: %d%s, %.1f/s", description, count, counted, rate)
            else:
                seconds_left = (total - count) / rate
                of = f"{count}/{total}{counted}"
                logger.info("%s: %s, %.1f/s, %.0f s left", description, of, rate, seconds_left)
