"""Asking the model about a batch: several at a time, each answer stored before the next request of its thread."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event, Lock
from typing import Literal

from activelora.campaign.records import Item
from activelora.errors import LabelError
from activelora.labeling.llm.endpoint import Endpoint, Reply
from activelora.labeling.llm.ledger import Claim, Ledger, price
from activelora.labeling.llm.prompt import messages
from activelora.labeling.llm.verdict import judge
from activelora.labeling.request import Request
from activelora.progress import track

logger = logging.getLogger(__name__)
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0
MAX_ITEMS_IN_VAIN = 3
"""After this number of items in a row that fail with all retries the endpoint is taken for down, until the next tick.
After as many that are refused before anything was ever answered, the settings are taken for wrong."""
POLL_SECONDS = 0.05
_OVERHEAD_TOKENS = 64
"""More tokens than an endpoint adds to two messages for their roles and limits."""


def reserve_of(request: Request, item: Item) -> float:
    """Return the most that one request about an item can cost: a token is at least one byte."""
    config = request.campaign.config.labeling.llm
    num_bytes = sum(len(one["content"].encode(errors="replace")) for one in messages(request, item))
    return price(num_bytes + _OVERHEAD_TOKENS, config.max_answer_tokens, config.price_in, config.price_out)


@dataclass
class Asking:
    """One go at all items of a batch that the model has not answered.

    Attributes:
        request: What the round asks for.
        ledger: What was asked before.
        ended: Why it ended before its end: ``capped``, ``down``, or nothing.
    """

    request: Request
    ledger: Ledger
    ended: Literal["", "capped", "down"] = ""
    _stop: Event = field(default_factory=Event, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)
    _num_in_vain: int = field(default=0, init=False)
    _num_under_way: int = field(default=0, init=False)
    _num_answered: int = field(default=0, init=False)
    _doubted: list[str] = field(default_factory=list, init=False)

    def run(self, items: Sequence[Item]) -> None:
        """Ask about each item until it has its votes, the cap is reached or the endpoint is down.

        Raises:
            LabelError: The endpoint refuses everything.
        """
        config = self.request.campaign.config.labeling.llm
        endpoint = Endpoint(config)
        threads = ThreadPoolExecutor(config.concurrency)
        try:
            futures = [threads.submit(self._ask_item, endpoint, item) for item in items]
            for future in track(futures, f"asking {config.model}", len(futures)):
                future.result()
        finally:
            self._stop.set()
            threads.shutdown(cancel_futures=True)
        if self._doubted and not self._is_answering():
            raise self._wrong_settings()

    def _ask_item(self, endpoint: Endpoint, item: Item) -> None:
        config = self.request.campaign.config.labeling.llm
        body = endpoint.body(messages(self.request, item))
        reserve = reserve_of(self.request, item)
        num_failed = 0
        while not self._stop.is_set():
            num_records = self.ledger.num_records(item.item_id)
            if self._is_done(item):
                return
            claim = self._claim(item, reserve, num_records)
            if claim == "elsewhere" or claim == "capped":
                return
            if claim == "changed":
                continue
            reply = self._send(endpoint, body, claim, item)
            if reply is None:
                return
            if reply.outcome != "failed":
                self._succeeded()
                continue
            num_failed += 1
            logger.debug("%s: %s", item.item_id, reply.text)
            if num_failed > config.retries:
                self._failed(reply)
                return
            wait = min(FIRST_WAIT_SECONDS * 2 ** (num_failed - 1), LONGEST_WAIT_SECONDS)
            self._stop.wait(wait if reply.wait_seconds is None else reply.wait_seconds)

    def _claim(self, item: Item, reserve: float, num_records: int) -> Claim | Literal["capped", "elsewhere", "changed"]:
        """Claim a request. At the cap, wait for those under way: they will cost less than they reserve."""
        while True:
            with self._lock:
                is_last = self._num_under_way == 0
                claim = self.ledger.claim(item.item_id, self.request.round, reserve, num_records)
                if isinstance(claim, Claim):
                    self._num_under_way += 1
            if claim != "capped":
                return claim
            if is_last:
                self._end("capped")
            if self._stop.wait(POLL_SECONDS):
                return claim

    def _send(self, endpoint: Endpoint, body: bytes, claim: Claim, item: Item) -> Reply | None:
        """Send a request and store its end.

        Returns:
            How it ended; None where it was refused and nothing was ever answered: it may be the settings that are wrong
            and not the item, which is asked again once others have shown that they are right.

        Raises:
            LabelError: The endpoint refuses everything.
        """
        try:
            try:
                reply = endpoint.ask(body, claim.stem)
            except LabelError as error:
                self.ledger.settle(claim, item.item_id, Reply("failed", error.problem, may_cost=False))
                raise
            is_doubted = reply.outcome == "refused" and not self._is_answering()
            self.ledger.settle(claim, item.item_id, replace(reply, outcome="failed") if is_doubted else reply)
        finally:
            with self._lock:
                self._num_under_way -= 1
        if is_doubted:
            self._doubt(reply)
        return None if is_doubted else reply

    def _doubt(self, reply: Reply) -> None:
        with self._lock:
            self._doubted.append(reply.text)
            is_enough = len(self._doubted) >= MAX_ITEMS_IN_VAIN and not self._num_answered
        if is_enough:
            raise self._wrong_settings()

    def _wrong_settings(self) -> LabelError:
        return LabelError(
            f"the model's endpoint refuses the first requests: {self._doubted[-1]}",
            where=f"labeling.llm.url: {self.request.campaign.config.labeling.llm.url}",
            remedy="Check labeling.llm: model, max_tokens_field, temperature.",
        )

    def _is_done(self, item: Item) -> bool:
        num_votes = self.request.campaign.config.labeling.llm.votes
        return judge(self.request.task, item, self.ledger.done(item.item_id), num_votes).state != "waiting"

    def _is_answering(self) -> bool:
        return self._num_answered > 0 or self.ledger.has_answers()

    def _succeeded(self) -> None:
        with self._lock:
            self._num_answered += 1
            self._num_in_vain = 0

    def _failed(self, reply: Reply) -> None:
        with self._lock:
            self._num_in_vain += 1
            is_down = self._num_in_vain >= MAX_ITEMS_IN_VAIN
        logger.warning("the model did not answer, with all retries: %s", reply.text)
        if is_down:
            self._end("down")

    def _end(self, reason: Literal["capped", "down"]) -> None:
        with self._lock:
            self.ended = self.ended or reason
        self._stop.set()
