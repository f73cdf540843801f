"""A small campaign that waits for labels, made without a model: what the checks of label sources stand on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.campaign.records import SELECTION_SCHEMA, Item, vote_table
from activelora.config.file import parse_config
from activelora.labeling.request import Collected, Request, make_request
from activelora.pool.access import HOLDOUT, gold_name, items_name
from activelora.pool.content import item_id
from activelora.pool.tables import gold_table, item_table, labeled_table

LABELS = ("entity", "human", "number")
NUM_ROUNDS, BATCH_SIZE = 3, 4
PRIVATE = "confidential"
"""What every part of an item holds that :data:`PRIVACY` keeps from people."""
PRIVACY = {"withhold": ["note", "source_id"], "redact": [r"\S+@\S+"]}
"""Settings of the section ``labeling``."""


@dataclass(frozen=True)
class Trial:
    """A campaign whose rounds select :data:`BATCH_SIZE` items each.

    Attributes:
        campaign: The campaign.
        items: Its pool, in the order in which it is selected.
    """

    campaign: Campaign
    items: tuple[Item, ...]

    def request(self, round_: int) -> Request:
        """Select a round's batch, unless that was done, and return what it asks for."""
        if self.campaign.manifest(Unit("select_batch", round_)) is None:
            chosen = self.items[round_ * BATCH_SIZE : (round_ + 1) * BATCH_SIZE]
            rows = [
                {"item_id": item.item_id, "position": position, "score": None, "reason": "for a check"}
                for position, item in enumerate(chosen)
            ]
            attempt = self.campaign.attempt(Unit("select_batch", round_))
            attempt.write_table("selection.parquet", pa.Table.from_pylist(rows, schema=SELECTION_SCHEMA))
            attempt.commit()
        return make_request(self.campaign, round_)

    def close(self, round_: int, collected: Collected) -> None:
        """End a round's labelling with what was collected, as await_labels does."""
        attempt = self.campaign.attempt(Unit("await_labels", round_))
        attempt.write_table("labels.parquet", vote_table([*collected.records, *collected.corrections]))
        attempt.write_json("states.json", dict(collected.states))
        attempt.commit()

    def contents(self, but: str | None = None) -> dict[str, bytes]:
        """Return everything in the campaign's store, but what begins so."""
        store = self.campaign.store
        return {key: store.read(key) for key in store.list("") if but is None or not key.startswith(but)}


def begin(folder: Path, labeling: dict[str, Any], *, is_private: bool = False) -> Trial:
    """Make a campaign with its pool taken in.

    Args:
        folder: The folder it lives in.
        labeling: The section ``labeling`` of its file.
        is_private: Whether its items hold what :data:`PRIVACY` keeps from people.
    """
    document = {
        "name": "conformance",
        "task": {"prompt": "{text} {note}" if is_private else "{text}", "labels": LABELS},
        "data": {"folder": str(folder), "pool": {"path": "pool.jsonl"}},
        "acquisition": {"strategy": "random", "batch_size": BATCH_SIZE},
        "labeling": labeling,
    }
    campaign = Campaign.create(str(folder / "campaign"), parse_config(document, where="the conformance check"))
    make = _private_item if is_private else _item
    items = tuple(make(number) for number in range(NUM_ROUNDS * BATCH_SIZE))
    attempt = campaign.attempt(Unit("ingest_pool"))
    attempt.write_table(items_name(0), item_table(items))
    if labeling.get("gold_questions"):
        held_out = sorted((make(number) for number in range(90, 99)), key=lambda item: item.item_id)
        attempt.write_table(HOLDOUT, labeled_table(held_out, dict.fromkeys((one.item_id for one in held_out), 0)))
    has_gold = labeling.get("source") == "oracle"
    if has_gold:
        gold = {item.item_id: number % len(LABELS) for number, item in enumerate(items)}
        attempt.write_table(gold_name(0), gold_table(gold))
    attempt.commit(details={"num_shards": 1, "has_gold": has_gold})
    return Trial(campaign, items)


def open_part(item: Item) -> str:
    """Return the part of an item that people must be shown."""
    return item.fields["text"].partition(" from")[0]


def _item(number: int) -> Item:
    fields = {"text": f"question {number}: <b>who</b> is it? = \u00fc"}
    return Item(item_id(fields, ()), fields)


def _private_item(number: int) -> Item:
    fields = {"text": f"question {number:02d} from {PRIVATE}{number}@example.org", "note": f"{PRIVATE} note {number}"}
    return Item(item_id(fields, ()), fields, source_id=f"{PRIVATE}-id-{number}")
