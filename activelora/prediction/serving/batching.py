"""One thread runs the model. Rows that wait are answered together, in the order in which their requests came.

While the model works, requests gather, and the next batch is all of them: one client has the latency of its own rows,
and many share what a batch saves. Those whose answers have just left ask again soon: the model waits for as many rows
as it has just answered, beside those that wait already, for a small share of the time that the last batch took.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from activelora.errors import ActiveLoRAError
from activelora.prediction.serving.limits import Limits
from activelora.prediction.serving.measured import Measured
from activelora.prediction.serving.refusal import bad, busy

logger = logging.getLogger(__name__)
GATHERING_SHARE = 0.05
"""Share of the last batch's time that others are waited for."""
GATHERING_SECONDS = 0.025
"""The most that others are waited for."""
Rows = Sequence[Mapping[str, Any]]
"""Rows of a request: column to value."""


@dataclass(frozen=True)
class Wish:
    """What a request wants to know beside the rows' labels.

    Attributes:
        min_confidence: Probability below which a person should look; None is the model's own threshold.
        max_risk: Share of mistakes among what is not to be looked at, at most; None is the model's own threshold.
        probabilities: Whether every label's probability is wanted.
    """

    min_confidence: float | None = None
    max_risk: float | None = None
    probabilities: bool = False


class Served(Protocol):
    """A model that is being served."""

    @property
    def about(self) -> Mapping[str, Any]:
        """What clients are told of it: name, version, round, kind of task."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a row must have."""

    @property
    def gives_numbers(self) -> bool:
        """Whether its labels are numbers on a scale."""

    def check(self, wish: Wish) -> None:
        """Refuse what the model cannot tell.

        Raises:
            ActiveLoRAError: It knows no such thing.
        """

    def answer(self, requests: Sequence[Rows], *, probabilities: bool) -> list[list[Any]]:
        """Return what it predicts for the rows of several requests.

        Args:
            requests: Rows of each.
            probabilities: Whether one of them wants every label's probability.
        """

    def finish(self, found: Sequence[Any], wish: Wish) -> list[dict[str, Any]]:
        """Return the answers to a request, out of what :meth:`answer` returned for its rows.

        Raises:
            ActiveLoRAError: A row was wrong.
        """

    def close(self) -> None:
        """Give back what it holds."""


@dataclass(frozen=True)
class Reply:
    """The answers to a request.

    Attributes:
        answers: A document for each row.
        about: What model gave them.
    """

    answers: list[dict[str, Any]]
    about: Mapping[str, Any]


@dataclass
class _Asked:
    rows: Rows
    wish: Wish
    future: Future[Reply] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


@dataclass
class _Coming:
    served: Served
    before: Future[Served] = field(default_factory=Future)


class Batcher:
    """Answers requests with the model that is served at the time.

    Attributes:
        served: The model that answers.

    Args:
        served: The first model.
        limits: How many rows may wait, and how many are taken together.
        measured: Takes what is measured.
    """

    def __init__(self, served: Served, limits: Limits, measured: Measured) -> None:
        self.served = served
        self._limits = limits
        self._measured = measured
        self._waiting: deque[_Asked] = deque()
        self._num_rows = 0
        self._is_closed = False
        self._arrival = threading.Condition()
        self._coming: _Coming | None = None
        self._has_ended = False
        self._expected_rows = 0
        self._gathers_until = 0.0
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether requests are answered."""
        return self._thread.is_alive()

    def ask(self, rows: Rows, wish: Wish) -> Future[Reply]:
        """Let rows wait for the model.

        Cancelling what is returned takes them out again, unless the model has them already.

        Raises:
            RefusedError: Too many rows wait already, or the server stops.
        """
        asked = _Asked(rows, wish)
        with self._arrival:
            if self._is_closed:
                raise busy("the server is stopping")
            # An empty queue takes any request: what is larger than the queue would never have its turn.
            if self._waiting and self._num_rows + len(rows) > self._limits.queue_rows:
                self._drop_cancelled()
                if self._waiting and self._num_rows + len(rows) > self._limits.queue_rows:
                    raise busy(f"{self._num_rows} rows wait for the model already, of {self._limits.queue_rows}")
            self._waiting.append(asked)
            self._count(len(rows))
            self._arrival.notify()
        return asked.future

    def swap(self, served: Served) -> Served:
        """Answer with another model from the next batch on, and return the old one when nothing uses it any more.

        Args:
            served: The new model, loaded.
        """
        coming = _Coming(served)
        with self._arrival:
            if self._has_ended:
                before, self.served = self.served, served
                return before
            self._coming = coming  # the model's thread takes it between two batches
            self._arrival.notify()
        return coming.before.result()

    def close(self) -> None:
        """Answer what waits, then end. The model stays open."""
        with self._arrival:
            self._is_closed = True
            self._arrival.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next_batch():
            served = self.served
            self._answer(served, [asked for asked in batch if _is_fine(served, asked)])

    def _next_batch(self) -> list[_Asked]:
        """Wait for requests, and return them in their order; none at the end."""
        with self._arrival:
            batch: list[_Asked] = []
            while not batch:
                if self._coming is not None:
                    before, self.served = self.served, self._coming.served
                    self._coming.before.set_result(before)
                    self._coming = None
                elif self._waiting:
                    left = self._gathers_until - time.monotonic()
                    if self._num_rows < self._expected_rows and left > 0 and not self._is_closed:
                        self._arrival.wait(left)
                    else:
                        batch = self._take()
                elif self._is_closed:
                    self._has_ended = True
                    return []
                else:
                    self._arrival.wait()
            return batch

    def _take(self) -> list[_Asked]:
        """Return the requests that are waited for, as many as make a batch."""
        batch: list[_Asked] = []
        num_rows = 0
        while self._waiting and (not batch or num_rows + len(self._waiting[0].rows) <= self._limits.batch_rows):
            asked = self._waiting.popleft()
            self._count(-len(asked.rows))
            if asked.future.set_running_or_notify_cancel():
                batch.append(asked)
                num_rows += len(asked.rows)
        return batch

    def _drop_cancelled(self) -> None:
        gone = [asked for asked in self._waiting if asked.future.cancelled()]
        self._waiting = deque(asked for asked in self._waiting if not asked.future.cancelled())
        self._count(-sum(len(asked.rows) for asked in gone))

    def _count(self, change: int) -> None:
        self._num_rows += change
        self._measured.queue_rows.set(self._num_rows)

    def _answer(self, served: Served, batch: list[_Asked]) -> None:
        if not batch:
            return
        began = time.monotonic()
        try:
            found = served.answer(
                [asked.rows for asked in batch], probabilities=any(asked.wish.probabilities for asked in batch)
            )
        except Exception as error:
            if len(batch) > 1:  # whose fault it is shows when each is asked alone
                for asked in batch:
                    self._answer(served, [asked])
                return
            logger.error("a request could not be answered", exc_info=error)
            batch[0].future.set_exception(error)
            return
        num_rows, seconds = sum(len(asked.rows) for asked in batch), time.monotonic() - began
        self._measured.batch(num_rows, seconds)
        self._expected_rows = min(self._num_rows + num_rows, self._limits.batch_rows)
        self._gathers_until = began + seconds + min(seconds * GATHERING_SHARE, GATHERING_SECONDS)
        for asked, own in zip(batch, found, strict=True):
            self._measured.wait_seconds.observe(began - asked.since)
            try:
                asked.future.set_result(Reply(served.finish(own, asked.wish), served.about))
            except ActiveLoRAError as error:
                asked.future.set_exception(bad(str(error)))


def _is_fine(served: Served, asked: _Asked) -> bool:
    """Refuse a request that wants what the model cannot tell."""
    try:
        served.check(asked.wish)
    except ActiveLoRAError as error:
        asked.future.set_exception(bad(str(error)))
        return False
    return True
