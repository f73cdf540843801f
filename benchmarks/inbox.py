"""An inbox of 10,000 files: the first look reads them, the next ones list them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from activelora.campaign.local import SETTLE_SECONDS, LocalStore
from activelora.labeling.inbox import Inbox
from benchmarks.result import Row

SUMMARY = "Reading the answers of an inbox of 10,000 files of one answer each, on a local disk"
NUM_FILES = 10_000
Result = TypeVar("Result")


def run(repetitions: int) -> Iterator[Row]:
    """Compare a look that remembers the last one with a look that reads everything.

    Args:
        repetitions: Of the comparison, both in turn.
    """
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder))
        time.sleep(SETTLE_SECONDS + 0.5)
        store = LocalStore(Path(folder))
        inbox = Inbox(store)
        inbox.read()
        ratios, seconds, agrees = [], [], True
        for _ in range(repetitions):
            all_seconds, everything = _timed(Inbox(store).read)
            again_seconds, again = _timed(inbox.read)
            agrees = agrees and everything == again and len(again[0]) == NUM_FILES
            ratios.append(all_seconds / again_seconds)
            seconds.append((all_seconds, again_seconds))
    figures = {
        "seconds, all read": round(min(first for first, _ in seconds), 3),
        "seconds, unchanged": round(min(second for _, second in seconds), 3),
    }
    yield Row(
        f"{NUM_FILES} files",
        "reading all of them again",
        tuple(ratios),
        "the same 10,000 answers",
        agrees,
        figures,
        limits={"seconds, unchanged": 2.0},
    )


def _fill(folder: Path) -> None:
    for number in range(NUM_FILES):
        (folder / f"{number:05d}.csv").write_text(
            f"item_id,label,annotator\n{number:016x},human,ann{number % 7}\n", encoding="utf-8"
        )


def _timed(call: Callable[[], Result]) -> tuple[float, Result]:
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result
