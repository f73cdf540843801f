"""Traffic becomes tomorrow's pool: rows of requests, sampled and redacted, as files that a campaign takes in.

Answering never waits for it: rows go to a buffer, one thread writes them, and what does not fit is counted and lost.
Each file is written at once and once, so that whoever reads the folder sees whole files only.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from activelora.campaign.store import Store
from activelora.errors import StoreError
from activelora.prediction.serving.measured import Measured

logger = logging.getLogger(__name__)
Redact = Callable[[str, Any], Any]
"""Takes a column and a value, and returns the value as it may be kept."""


@dataclass(frozen=True)
class Pace:
    """When files are written.

    Attributes:
        part_rows: Number of rows a file has at most.
        flush_seconds: Seconds between two files, unless rows come faster.
        buffer_rows: Number of rows that may wait to be written.
        stop_seconds: Seconds that the end waits for the last file.
    """

    part_rows: int = 5000
    flush_seconds: float = 60.0
    buffer_rows: int = 20_000
    stop_seconds: float = 15.0


class RequestLog:
    """Writes rows of requests.

    Args:
        store: The folder or prefix that the files go to.
        columns: The columns that are kept, as far as a row has them.
        id_column: The column of the row's own id, which a pool must have where its campaign names one: rows without
            get one; None where it names none.
        redact: Takes out what nobody may see.
        share: Share of the rows that are kept, in [0, 1].
        measured: Takes what is measured.
        pace: When files are written.
    """

    def __init__(
        self,
        store: Store,
        columns: Sequence[str],
        id_column: str | None,
        redact: Redact,
        share: float,
        measured: Measured,
        pace: Pace | None = None,
    ) -> None:
        self._store = store
        self._columns = tuple(columns)
        self._id_column = id_column
        self._redact = redact
        self._share = share
        self._measured = measured
        self._pace = pace or Pace()
        self._buffer: deque[dict[str, Any]] = deque()
        self._change = threading.Condition()
        self._is_closed = False
        self._name = uuid.uuid4().hex[:12]
        self._num_parts = 0
        self._has_failed = False
        self._random = random.Random()  # noqa: S311 - no secret depends on it
        self._thread = threading.Thread(target=self._work, name="request log", daemon=True)
        self._thread.start()

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep a sample of rows. Returns at once, and never fails.

        Args:
            rows: Rows as they were asked.
        """
        sampled = [
            {name: row[name] for name in self._columns if name in row}
            for row in rows
            if self._random.random() < self._share
        ]
        if not sampled:
            return
        with self._change:
            room = max(self._pace.buffer_rows - len(self._buffer), 0)
            self._buffer.extend(sampled[:room])
            if len(self._buffer) >= self._pace.part_rows:
                self._change.notify()
        if lost := len(sampled) - room:
            self._measured.unlogged_rows.inc(max(lost, 0))

    def close(self) -> None:
        """Write what waits, as far as time allows."""
        with self._change:
            self._is_closed = True
            self._change.notify()
        self._thread.join(self._pace.stop_seconds)
        with self._change:
            lost = len(self._buffer)
        if lost:
            self._measured.unlogged_rows.inc(lost)
            logger.warning("%s: %d rows of requests were not written", self._store.uri, lost)

    def _work(self) -> None:
        flush_at = time.monotonic() + self._pace.flush_seconds
        while True:
            with self._change:
                while not self._is_closed and (self._has_failed or len(self._buffer) < self._pace.part_rows):
                    if (left := flush_at - time.monotonic()) <= 0:
                        break
                    self._change.wait(left)
                is_last = self._is_closed
                waiting = [self._buffer[index] for index in range(min(len(self._buffer), self._pace.part_rows))]
            flush_at = time.monotonic() + self._pace.flush_seconds
            is_written = self._write(waiting) if waiting else True
            with self._change:
                if is_written:
                    for _ in waiting:
                        self._buffer.popleft()
                if is_last and (not self._buffer or not is_written):
                    return

    def _line(self, row: Mapping[str, Any]) -> dict[str, Any]:
        line = {name: self._redact(name, value) for name, value in row.items()}
        if self._id_column is not None and line.get(self._id_column) in (None, ""):
            line[self._id_column] = f"request-{uuid.uuid4().hex}"
        return line

    def _write(self, rows: list[dict[str, Any]]) -> bool:
        """Write a file, and tell whether it is there."""
        now = datetime.now(UTC)
        key = f"{now:%Y-%m-%d}/requests-{now:%Y%m%dT%H%M%SZ}-{self._name}-{self._num_parts:06d}.jsonl"
        self._num_parts += 1
        try:
            lines = [self._line(row) for row in rows]
            content = "".join(json.dumps(line) + "\n" for line in lines).encode()
            self._store.create(key, content)
        except (StoreError, OSError) as error:
            if not self._has_failed:
                logger.warning("requests cannot be written, and wait: %s", error)
            self._has_failed = True
            return False
        except Exception:
            logger.exception("%d rows of requests were lost", len(rows))
            self._measured.unlogged_rows.inc(len(rows))
            return True
        if self._has_failed:
            logger.info("requests are written again to %s", self._store.uri)
        self._has_failed = False
        self._measured.logged_rows.inc(len(rows))
        return True
