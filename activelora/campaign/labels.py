"""The labels that a round trains on: all records of earlier rounds, brought to one label an item by a fixed rule."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from activelora.campaign.aggregation import Distribution, aggregate, winner
from activelora.campaign.ledger import label_manifests
from activelora.campaign.records import SETTLED_SOURCES, Label, vote_rows, vote_table
from activelora.campaign.snapshot import View, snapshot_of
from activelora.config.labeling import AggregationRule, LabelingConfig

Record = dict[str, Any]


@dataclass(frozen=True)
class LabelSnapshot:
    """What was known about the labels when a round began.

    The rule: for each item the latest round that brought records about it counts, so that a correction replaces what
    it corrects. Within that round each annotator has one vote, the latest. The majority wins, or what
    ``labeling.aggregation`` believes most; a tie goes to the smallest label index. Where adjudicators voted, only their
    votes count. Labels that were known before, or that another campaign or tool brought, are nobody's votes: they count
    where nobody has answered.

    Attributes:
        records: The votes that counted, in :data:`LABEL_SCHEMA`, by item and annotator.
        labels: One label for each item, by item id in ascending order.
        shares: How far each label of an item is believed, or the share of its votes; the same items.
        digest: Hash of the votes without their times: equal snapshots train equal adapters.
    """

    records: pa.Table
    labels: Mapping[str, Label]
    shares: Mapping[str, Distribution]
    digest: str


def label_snapshot(campaign: View, before_round: int) -> LabelSnapshot:
    """Return the labels that the rounds before the given one brought.

    Raises:
        StoreError: One of those rounds has no labels yet, or its file is damaged.
    """
    return resolve_for(campaign.config.labeling, label_records(campaign, before_round))


def resolve_for(config: LabelingConfig, rounds: Iterable[list[Record]]) -> LabelSnapshot:
    """Apply :func:`resolve` with a campaign's adjudicators and aggregation."""
    return resolve(rounds, config.adjudicators, config.aggregation)


def label_records(campaign: View, before_round: int) -> list[list[Record]]:
    """Return all records that the rounds before the given one brought, by round: those that were replaced too.

    Records about deleted items are left out.

    Raises:
        StoreError: One of those rounds has no labels yet, or its file is damaged.
    """
    seen = snapshot_of(campaign)
    rounds = [vote_rows(seen.table(manifest, "labels.parquet")) for manifest in label_manifests(seen, before_round)]
    return [[record for record in records if record["item_id"] not in seen.deleted] for records in rounds]


def resolve(
    rounds: Iterable[list[Record]], adjudicators: Collection[str] = (), rule: AggregationRule = "majority"
) -> LabelSnapshot:
    """Apply the rule of :class:`LabelSnapshot`.

    Args:
        rounds: The records that each round brought, in the order of the rounds.
        adjudicators: The campaign's.
        rule: How the annotators' votes are combined.
    """
    latest: dict[str, dict[str, Record]] = {}
    for records in rounds:
        votes: dict[str, dict[str, Record]] = defaultdict(dict)
        for record in records:
            known = votes[record["item_id"]].get(record["annotator"])
            if known is None or _when(record) > _when(known):
                votes[record["item_id"]][record["annotator"]] = record
        latest |= votes
    items = sorted(latest)
    counted = [latest[item][annotator] for item in items for annotator in sorted(latest[item])]
    identity = [[vote["item_id"], vote["label"], vote["annotator"], vote["source"]] for vote in counted]
    judged = [vote for vote in counted if vote["source"] not in SETTLED_SOURCES]
    settled = [vote for vote in counted if vote["source"] in SETTLED_SOURCES]
    found = {**aggregate(settled, "majority"), **aggregate(judged, rule)}
    shares = {item: found[item] for item in items}
    for item in items:
        if rulings := [vote for vote in latest[item].values() if vote["annotator"] in adjudicators]:
            shares[item] = aggregate(rulings, "majority")[item]
    return LabelSnapshot(
        records=vote_table(counted),
        labels={item: winner(shares[item]) for item in items},
        shares=shares,
        digest=hashlib.sha256(json.dumps(identity).encode()).hexdigest(),
    )


def has_majority(labels: Iterable[Any]) -> bool:
    """Tell whether one label has more votes than any other; without votes, no."""
    counts = [count for _, count in Counter(labels).most_common(2)]
    return bool(counts) and (len(counts) == 1 or counts[0] > counts[1])


def _when(record: Record) -> tuple[datetime, tuple[int, ...]]:
    """Order one annotator's records: by time; at the same time, the smaller label is taken."""
    return (time_of(record), _descending(record["label"]))


def _descending(label: Label) -> tuple[int, ...]:
    """Return what is larger the smaller the label is."""
    return tuple(-ord(character) for character in label) if isinstance(label, str) else (-label,)


NO_TIME = "1970-01-01T00:00:00+00:00"
"""What is noted as the time of simulated labels: a constant, so that equal campaigns have equal digests."""


def shown_time(record: Record) -> str:
    """Return when a label was given, for people; empty where nobody gave it."""
    return "" if record["labeled_at"] == NO_TIME else str(record["labeled_at"])


def time_of(record: Record) -> datetime:
    """Return when a label was given; without a zone it is UTC."""
    time = datetime.fromisoformat(record["labeled_at"])
    return time if time.tzinfo else time.replace(tzinfo=UTC)
