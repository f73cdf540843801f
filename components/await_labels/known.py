"""The round whose labels are those that the pool brought: nothing is asked, and nobody is waited for."""

from __future__ import annotations

from activelora.campaign.campaign import Attempt, utc_now
from activelora.campaign.ledger import label_manifests
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import KNOWN_SOURCE, vote_table
from activelora.campaign.snapshot import Snapshot
from activelora.pool.access import known_labels

ANNOTATOR = "(known)"
"""Stands for nobody: no name that a person goes by."""


def take_known(seen: Snapshot) -> Manifest:
    """Write the known labels as round 0's, each with the source that it stands in and the time of the ingest."""
    attempt = seen.campaign.attempt(Unit("await_labels", 0))
    record_inputs(attempt)
    ingest, known = seen.require(Unit("ingest_pool")), known_labels(seen)
    records = [
        {
            "item_id": item_id,
            "label": label,
            "annotator": ANNOTATOR,
            "source": KNOWN_SOURCE,
            "labeled_at": ingest.started_at,
            "round": 0,
            "origin": seen.config.data.pool.path,
        }
        for item_id, label in known.items()
    ]
    attempt.write_table("labels.parquet", vote_table(records))
    attempt.write_json("states.json", {})
    counts = ("num_requested", "num_late", "num_corrected", "num_confirmed", "num_votes", "num_rejected_lines")
    items = "1 item" if len(known) == 1 else f"{len(known)} items"
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


def record_inputs(attempt: Attempt) -> None:
    """Record that an attempt depends on the pool, on all selections so far, and on the labels before it."""
    campaign, round_ = attempt.campaign, attempt.unit.round
    attempt.reads(campaign.require(Unit("ingest_pool")))
    for past in range(round_ + 1):
        attempt.reads(campaign.require(Unit("select_batch", past)))
    for manifest in label_manifests(campaign, round_):
        attempt.reads(manifest)
