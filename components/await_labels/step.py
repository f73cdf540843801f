"""await_labels: ask for the batch's labels, and take what is there."""

from __future__ import annotations

import logging
from datetime import timedelta

from activelora.campaign.campaign import Attempt, Campaign, stop_campaign, stop_reason
from activelora.campaign.ledger import label_manifests
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import vote_table
from activelora.labeling.registry import get_source
from activelora.labeling.source import Collected, Request, make_request
from activelora.labeling.waiting import STATES, Clock, Decision, decide, describe_wait, rejected_key, rejected_uri
from activelora.labeling.worksheet import rejected_csv

logger = logging.getLogger(__name__)


def run(campaign: Campaign, round_: int, clock: Clock | None = None) -> Manifest | None:
    """Publish the batch, collect labels, and finish the round's labelling if there are enough or time is up.

    Items that stay without a label go back to the pool. Nothing is held while people work: after
    ``labeling.wait_minutes`` of polling (none by default) the wait is left to the next tick.

    Args:
        campaign: The campaign.
        round_: The round.
        clock: The time, for tests.

    Returns:
        The manifest, or None while labels are still awaited.
    """
    unit = Unit("await_labels", round_)
    if done := campaign.manifest(unit):
        return done
    clock = clock or Clock()
    config = campaign.config.labeling
    source, request = get_source(config.source), make_request(campaign, round_)
    source.publish(request)
    leave_at = clock.now() + timedelta(minutes=config.wait_minutes)
    num_rejected = 0
    while True:
        collected = source.collect(request)
        num_rejected = _report_rejected(request, collected, num_rejected)
        decision = decide(request, collected, clock.now())
        if decision.action != "wait":
            return _commit(request, collected.closed(), decision)
        left = (leave_at - clock.now()).total_seconds()
        if left <= 0 or stop_reason(campaign):
            logger.info("waiting for %s", describe_wait(request, collected))
            return None
        clock.sleep(min(config.poll_seconds, left))
        if done := campaign.manifest(unit):
            return done


def _report_rejected(request: Request, collected: Collected, num_before: int) -> int:
    """List the answers that cannot be used where people can read it, and return how many there are."""
    store, key = request.campaign.store, rejected_key(request.round)
    num_rejected = len(collected.rejected)
    if num_rejected or store.exists(key):
        store.write(key, rejected_csv(collected.rejected))
    if num_rejected and num_rejected != num_before:
        logger.warning("%d answers cannot be used: see %s", num_rejected, rejected_uri(request))
    return num_rejected


def _commit(request: Request, collected: Collected, decision: Decision) -> Manifest:
    """Write labels and states. A campaign that stops is stopped first: a crash in between must not let it go on."""
    campaign = request.campaign
    attempt = campaign.attempt(Unit("await_labels", request.round))
    _record_inputs(attempt)
    records = [*collected.records, *collected.corrections]
    attempt.write_table("labels.parquet", vote_table(records))
    attempt.write_json("states.json", dict(collected.states))
    if decision.action == "stop":
        stop_campaign(campaign, decision.reason)
    if collected.num_rounded:
        logger.warning("%d labels lay between two steps of task.step and were rounded", collected.num_rounded)
    corrected = collected.corrected(request.known)
    num_late = len({record["item_id"] for record in collected.records if record["round"] != request.round})
    return attempt.commit(
        {
            "num_labeled": collected.num_labeled,
            "num_requested": len(request.reasons),
            "num_late": num_late,
            "num_corrected": len(corrected),
            "num_confirmed": len({record["item_id"] for record in collected.corrections} - corrected),
            "num_votes": len(records),
            **({"num_rounded": collected.num_rounded} if collected.num_rounded else {}),
            "num_rejected_lines": len(collected.rejected),
        },
        {
            "source": campaign.config.labeling.source,
            "states": {state: count for state in STATES if (count := collected.count(state))},
            "decision": decision.reason,
        },
    )


def _record_inputs(attempt: Attempt) -> None:
    campaign, round_ = attempt.campaign, attempt.unit.round
    attempt.reads(campaign.require(Unit("ingest_pool")))
    for past in range(round_ + 1):
        attempt.reads(campaign.require(Unit("select_batch", past)))
    for manifest in label_manifests(campaign, round_):
        attempt.reads(manifest)
