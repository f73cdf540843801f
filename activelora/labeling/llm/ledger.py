"""What was asked of the model and what it cost: two write-once objects a request, before it and after it.

The first, ``asked``, claims the request and reserves the most it can cost; the second, ``done``, holds the answer and
what it did cost. So nothing that was answered is asked again, two processes never ask the same, and after a crash at
any moment the cap still holds: a claim without an end counts with its reserve.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Literal

from activelora.campaign.campaign import Campaign, utc_now
from activelora.labeling.llm.endpoint import Outcome, Reply

FOLDER = "labeling/llm"
_LEASE_MARGIN = timedelta(seconds=60)
_NUM_READERS = 8
_ASKED, _DONE = "-asked.json", "-done.json"


@dataclass(frozen=True)
class Done:
    """The end of a request.

    Attributes:
        key: Key of its record.
        outcome: How it ended, as in :class:`~activelora.labeling.llm.endpoint.Reply`.
        text: What the model wrote, or what went wrong.
        at: When; ISO 8601, UTC.
    """

    key: str
    outcome: Outcome
    text: str
    at: str


@dataclass(frozen=True)
class Claim:
    """The right to send one request.

    Attributes:
        stem: Stem of its records' keys.
        reserve: The most it can cost.
    """

    stem: str
    reserve: float


class Ledger:
    """All requests of a campaign. Threads may share one.

    Args:
        campaign: The campaign.
    """

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._records: dict[str, dict[str, Any]] = {}
        self._keys_of: dict[str, list[str]] = defaultdict(list)
        self._lock = Lock()
        self.num_requests = 0
        """Requests so far, those under way included."""
        self.spent = 0.0
        """What was spent or is reserved, in the currency of the prices."""

    def refresh(self) -> None:
        """Read what is new in the store. Records never change, so none is read twice."""
        with self._lock:
            self._refresh(f"{FOLDER}/")

    def done(self, item_id: str) -> list[Done]:
        """Return the requests about an item that have ended with an answer or a refusal, in their order."""
        with self._lock:
            ends = [(key, self._records[key]) for key in sorted(self._keys_of[item_id]) if key.endswith(_DONE)]
        return [Done(key, end["outcome"], end["text"], end["at"]) for key, end in ends if end["outcome"] != "failed"]

    def has_answers(self) -> bool:
        """Tell whether the model ever answered anything, in any round."""
        with self._lock:
            return any(record.get("outcome") == "answered" for record in self._records.values())

    def has_room(self, reserve: float = 0.0, num_requests: int = 0) -> bool:
        """Tell whether the caps hold what was asked so far and so much more."""
        config = self._campaign.config.labeling.llm
        cap = (config.max_cost or 0.0) * (1 + 1e-9)  # sums of floating-point prices are not exact
        return self.num_requests + num_requests <= config.max_requests and self.spent + reserve <= cap

    def num_records(self, item_id: str) -> int:
        """Return how many records about an item are known, claims and their ends: it grows with whatever happens."""
        with self._lock:
            return len(self._keys_of[item_id])

    def claim(
        self, item_id: str, round_: int, reserve: float, num_records: int
    ) -> Claim | Literal["capped", "elsewhere", "changed"]:
        """Claim the next request about an item, if the caps hold it.

        The reserve is written first and the sum looked at then: of two processes at the cap, both may draw back, but
        never both go on.

        Args:
            item_id: The item.
            round_: The round that asks.
            reserve: The most that the request can cost.
            num_records: Number of the item's records, from before the caller found that the item is not done. Had it
                ended meanwhile, asking again would be paid twice.

        Returns:
            The claim; ``capped``; ``elsewhere``, if another process is asking about the item just now; or
            ``changed``, if another one has asked meanwhile.
        """
        config = self._campaign.config.labeling.llm
        with self._lock:
            folder = f"{FOLDER}/round-{round_:04d}/"
            self._refresh(folder)
            if not self.has_room(reserve, 1):
                return "capped"
            asked = [key for key in self._keys_of[item_id] if key.endswith(_ASKED)]
            if any(self._is_under_way(key, config.timeout_seconds) for key in asked):
                return "elsewhere"
            if len(self._keys_of[item_id]) != num_records:
                return "changed"
            claim = Claim(f"{folder}{item_id}-{len(asked):04d}", reserve)
            record = {"item_id": item_id, "reserve": reserve, "at": utc_now(), "by": uuid.uuid4().hex}
            if not self._write(f"{claim.stem}{_ASKED}", record):
                return "changed"
            self._refresh(folder)
            if not self.has_room():
                self._end(claim, item_id, Reply("failed", "the cap was reached meanwhile", may_cost=False), 0.0)
                return "capped"
            return claim

    def settle(self, claim: Claim, item_id: str, reply: Reply) -> None:
        """Store how a request ended, and what it cost: by the server's count of tokens, else its reserve."""
        config = self._campaign.config.labeling.llm
        cost = claim.reserve if reply.may_cost else 0.0
        if reply.tokens_in is not None and reply.tokens_out is not None:
            cost = price(reply.tokens_in, reply.tokens_out, config.price_in, config.price_out)
        with self._lock:
            self._end(claim, item_id, reply, cost)

    def _end(self, claim: Claim, item_id: str, reply: Reply, cost: float) -> None:
        record = {
            "item_id": item_id,
            "outcome": reply.outcome,
            "text": reply.text,
            "tokens_in": reply.tokens_in,
            "tokens_out": reply.tokens_out,
            "cost": cost,
            "at": utc_now(),
            "model": self._campaign.config.labeling.llm.model,
        }
        self._write(f"{claim.stem}{_DONE}", record)

    def _write(self, key: str, record: dict[str, Any]) -> bool:
        if not self._campaign.store.create(key, json.dumps(record, ensure_ascii=False).encode(errors="replace")):
            return False
        self._add(key, record)
        return True

    def _add(self, key: str, record: dict[str, Any]) -> None:
        self._records[key] = record
        self._keys_of[record["item_id"]].append(key)
        if key.endswith(_ASKED):
            self.num_requests += 1
            self.spent += float(record["reserve"])
        else:
            self.spent += float(record["cost"]) - float(self._records[_asked_key(key)]["reserve"])

    def _is_under_way(self, key: str, timeout_seconds: float) -> bool:
        """Tell whether a request may still be answered; one whose process was killed is given up after a while."""
        if key.removesuffix(_ASKED) + _DONE in self._records:
            return False
        begun = datetime.fromisoformat(self._records[key]["at"])
        longest = timedelta(seconds=2 * timeout_seconds)  # a server that pauses may use up its time twice
        return datetime.now(UTC) < begun + longest + _LEASE_MARGIN

    def _refresh(self, prefix: str) -> None:
        store = self._campaign.store
        fresh = [key for key in store.list(prefix) if key not in self._records and key.endswith((_ASKED, _DONE))]
        if len(fresh) < _NUM_READERS:
            contents = [store.read(key) for key in fresh]
        else:
            with ThreadPoolExecutor(_NUM_READERS) as threads:
                contents = list(threads.map(store.read, fresh))
        for key, content in zip(fresh, contents, strict=True):  # sorted: claims come before their ends
            if key.endswith(_ASKED) or _asked_key(key) in self._records:  # a listing may miss what came meanwhile
                self._add(key, json.loads(content))


def _asked_key(done_key: str) -> str:
    return done_key.removesuffix(_DONE) + _ASKED


def price(tokens_in: int, tokens_out: int, price_in: float | None, price_out: float | None) -> float:
    """Return what tokens cost; prices are for a million."""
    return (tokens_in * (price_in or 0.0) + tokens_out * (price_out or 0.0)) / 1e6
