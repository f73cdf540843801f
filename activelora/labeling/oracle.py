"""The ``oracle`` source: the pool's own gold labels answer at once, with a share of mistakes if asked. Simulation."""

from __future__ import annotations

from dataclasses import dataclass

from activelora.campaign.records import Label
from activelora.labeling.source import Collected, Record, Request
from activelora.pool.access import gold_labels
from activelora.seeding import derive_seed, item_draw

NO_TIME = "1970-01-01T00:00:00+00:00"
"""When simulated labels were given: a constant, so that equal campaigns have equal digests."""


@dataclass(frozen=True)
class OracleSource:
    """Labels from the gold column, kept apart at ingest. The only reader of those labels."""

    name: str = "oracle"
    summary: str = "the pool's own gold labels, with an optional error rate: simulation"

    def publish(self, request: Request) -> None:
        """Do nothing: nobody has to be asked."""

    def collect(self, request: Request) -> Collected:
        """Return a label for each item of the round."""
        gold = gold_labels(request.campaign, request.item_ids)
        records = [_record(request, item_id, gold[item_id]) for item_id in request.reasons]
        return Collected(records, dict.fromkeys(request.reasons, "labeled"), [])

    def instructions(self, request: Request) -> str:
        """Return nothing: no person has to do anything."""
        return ""


def answer(gold: int, num_answers: int, item_id: str, error_rate: float, seed: int) -> int:
    """Return the gold label or, for a share of items, one of the wrong labels, each equally likely.

    The answer depends on item and seed alone: asked again, the oracle says the same.
    """
    if num_answers < 2 or item_draw(seed, item_id) >= error_rate:
        return gold
    step = 1 + derive_seed(seed, "wrong", item_id) % (num_answers - 1)
    return (gold + step) % num_answers


def _record(request: Request, item_id: str, gold: Label) -> Record:
    if isinstance(gold, int):  # mistakes are refused for texts
        num_answers = len(request.task.query(request.items[item_id]).answers)
        error_rate = request.campaign.config.labeling.oracle_error_rate
        gold = answer(gold, num_answers, item_id, error_rate, request.campaign.seed("oracle"))
    return {
        "item_id": item_id,
        "label": gold,
        "annotator": "oracle",
        "source": "oracle",
        "labeled_at": NO_TIME,
        "round": request.round,
    }
