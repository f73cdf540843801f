"""The round whose labels are those that the pool brought: nothing is asked, and nobody is waited for."""

from __future__ import annotations

from activelora.campaign.campaign import Attempt, utc_now
from activelora.campaign.ledger import label_manifests
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import KNOWN_SOURCE, vote_table
from activelora.campaign.refreshes import pool_of
from activelora.campaign.snapshot import Snapshot
from activelora.labeling.request import Record
from activelora.pool.access import arrived_labels, known_labels, read_pool
from activelora.pool.known_labels import KnownLabels, merged
from activelora.pool.votes import Provenance
from activelora.quantities import quantity

ANNOTATOR = "(known)"
"""Stands for nobody: no name that a person goes by."""


def take_known(seen: Snapshot) -> Manifest:
    """Write the known labels as round 0's, each with its origin, and who and when where the pool tells."""
    attempt = seen.campaign.attempt(Unit("await_labels", 0))
    record_inputs(attempt)
    known = merged([known_labels(seen), arrived_labels(seen, 0)])
    attempt.write_table("labels.parquet", vote_table(known_records(seen, known, 0)))
    attempt.write_json("states.json", {})
    counts = ("num_requested", "num_late", "num_corrected", "num_confirmed", "num_votes", "num_rejected_lines")
    items = quantity(len(known), "item")
    return attempt.commit(
        {"num_labeled": len(known), "num_known": len(known), **dict.fromkeys(counts, 0)},
        {
            "source": KNOWN_SOURCE,
            "states": {},
            "answered": {},
            "votes": {},
            "action": "commit",
            "decision": f"{items} had a label before anybody was asked",
            "decided_at": utc_now(),
            "deadline": None,
        },
    )


def known_records(seen: Snapshot, known: KnownLabels, round_: int) -> list[Record]:
    """Return known labels as records of the round that takes them.

    Args:
        seen: The campaign.
        known: The labels. Where nobody and no time is named, they are of nobody, and of the time of the ingest.
        round_: The round.
    """
    nobody = Provenance()
    ingest = pool_of(seen, round_).manifests[-1] if round_ else seen.require(Unit("ingest_pool"))
    return [
        {
            "item_id": item_id,
            "label": label,
            "annotator": known.given.get(item_id, nobody).annotator or ANNOTATOR,
            "source": KNOWN_SOURCE,
            "labeled_at": known.given.get(item_id, nobody).labeled_at or ingest.started_at,
            "round": round_,
            "origin": seen.config.data.pool.path,
        }
        for item_id, label in known.labels.items()
    ]


def record_inputs(attempt: Attempt) -> None:
    """Record that an attempt depends on the pool, on all selections so far, and on the labels before it."""
    campaign, round_ = attempt.campaign, attempt.unit.round
    read_pool(campaign, attempt, round_)
    for past in range(round_ + 1):
        attempt.reads(campaign.require(Unit("select_batch", past)))
    for manifest in label_manifests(campaign, round_):
        attempt.reads(manifest)
