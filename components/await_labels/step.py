"""await_labels: ask for the batch's labels, and take what is there."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from activelora.campaign.campaign import stop_campaign
from activelora.campaign.labels import label_records, resolve_for
from activelora.campaign.ledger import is_known_round
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import SETTLED_SOURCES, Label, vote_table
from activelora.campaign.snapshot import View, snapshot_of
from activelora.labeling import asking
from activelora.labeling.adjudication import write_adjudication
from activelora.labeling.agreement import AGREEMENT_FILE, round_agreement
from activelora.labeling.deadlines import deadlines_of
from activelora.labeling.imports import num_imported
from activelora.labeling.registry import get_source
from activelora.labeling.reminder import remind_if_due
from activelora.labeling.request import PASSED, REJECTED, Collected, Record, Request, State, make_request
from activelora.labeling.wait_status import STATES, describe_wait, note_look, rejected_key, rejected_uri
from activelora.labeling.waiting import Clock, Decision, decide
from activelora.labeling.worksheet import rejected_csv
from activelora.pool.access import arrived_labels
from components.await_labels.known import known_records, record_inputs, take_known

logger = logging.getLogger(__name__)


def run(
    campaign: View, round_: int, clock: Clock | None = None, on_wait: Callable[[], None] | None = None
) -> Manifest | None:
    """Publish the batch, collect labels, and finish the round's labelling if there are enough or time is up.

    Where the round's labels are those that the pool brought, it takes them, and nobody is asked.

    Items that stay without a label go back to the pool, but for those passed over or left to an adjudicator. Nothing is
    held while people work: after ``labeling.wait_minutes`` of polling (none by default) the wait is left to the next
    tick.

    Args:
        campaign: The campaign. A snapshot of it knows afterwards what the label source said.
        round_: The round.
        clock: The time, for tests.
        on_wait: Called once, before the first pause: for what people look at while they label.

    Returns:
        The manifest, or None while labels are still awaited.
    """
    unit, seen = Unit("await_labels", round_), snapshot_of(campaign)
    campaign = seen.campaign
    if done := campaign.manifest(unit):
        return done
    clock = clock or Clock()
    if is_known_round(seen, round_):
        return take_known(seen)
    config = campaign.config.labeling
    source, request = get_source(config.source), make_request(seen, round_)
    asking.published(source, request)
    leave_at = clock.now() + timedelta(minutes=config.wait_minutes)
    num_rejected, reminded = 0, ""
    while True:
        collected, now = asking.collected(source, request), clock.now()
        note_look(seen, request, collected)
        num_rejected = _report_rejected(request, collected, num_rejected)
        write_adjudication(request, collected)
        decision = decide(request, collected, now)
        if decision.action != "wait":
            return _commit(request, collected.closed(), decision, now)
        reminded = _remind(request, collected, now, reminded)
        left = (leave_at - clock.now()).total_seconds()
        if left <= 0 or seen.stop_reason:
            logger.info("waiting: %s", describe_wait(request, collected, now))
            return None
        if on_wait is not None:
            on_wait()
            on_wait = None
        clock.sleep(min(config.poll_seconds, left))
        seen.refresh()
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


def _remind(request: Request, collected: Collected, now: datetime, before: str) -> str:
    """Send a reminder if one is due, and return what came of it."""
    outcome = remind_if_due(request, collected, now)
    if outcome and outcome != before:
        logger.log(logging.INFO if outcome.endswith("sent") else logging.WARNING, "%s", outcome)
    return outcome or before


def _commit(request: Request, collected: Collected, decision: Decision, now: datetime) -> Manifest:
    """Write labels, states and the decision, and stop the campaign if the decision that counts says so.

    That may be another tick's. The manifest says it too, so that a crash in between does not let the campaign go on.
    """
    campaign = request.campaign
    attempt = campaign.attempt(Unit("await_labels", request.round))
    record_inputs(attempt)
    seen = snapshot_of(request.seen or campaign)
    records = [*collected.records, *collected.corrections]
    answered = {record["item_id"] for record in records}
    arrived = arrived_labels(seen, request.round).without(answered)
    attempt.write_table("labels.parquet", vote_table([*records, *known_records(seen, arrived, request.round)]))
    late: dict[str, State] = {one["item_id"]: "late" for one in collected.records if one["round"] != request.round}
    states = {**collected.states, **late}
    attempt.write_json("states.json", states)
    if campaign.config.labeling.skipped == "return":
        attempt.write_json(PASSED, collected.passed)
    if collected.rejected:
        attempt.write_json(REJECTED, sorted(one.identity for one in collected.rejected))
    if collected.num_rounded:
        logger.warning("%d labels lay between two steps of task.step and were rounded", collected.num_rounded)
    corrected = collected.corrected(request.known, campaign.config.labeling)
    votes = [one for one in records if one["item_id"] not in request.known or one not in _earlier_votes(request, one)]
    votes = [one for one in votes if one["source"] not in SETTLED_SOURCES]
    agreement = round_agreement(request, collected, _labels_now(request, records))
    if agreement is not None:
        attempt.write_json(AGREEMENT_FILE, agreement.as_json())
    manifest = attempt.commit(
        {
            "num_labeled": collected.num_labeled + len(arrived),
            **({"num_known": len(arrived)} if arrived else {}),
            "num_requested": len(request.reasons),
            "num_late": len(late),
            "num_corrected": len(corrected),
            "num_confirmed": len({record["item_id"] for record in collected.corrections} - corrected),
            "num_votes": len(votes),
            **({"num_imported": num} if (num := num_imported(collected)) else {}),
            **({"num_rounded": collected.num_rounded} if collected.num_rounded else {}),
            "num_rejected_lines": len(collected.rejected),
            **(agreement.metrics if agreement is not None else {}),
        },
        {
            "source": campaign.config.labeling.source,
            "states": {state: count for state in STATES if (count := list(states.values()).count(state))},
            "answered": dict(sorted(collected.answered.items())),
            "votes": dict(sorted(Counter(one["annotator"] for one in votes).items())),
            **_decision_details(request, decision, now),
        },
    )
    if manifest.details.get("action") == "stop":
        stop_campaign(campaign, manifest.details["decision"])
    return manifest


def _labels_now(request: Request, records: list[Record]) -> Mapping[str, Label]:
    """Return the labels that count with this round's votes."""
    rounds = label_records(request.seen or request.campaign, request.round)
    return resolve_for(request.campaign.config.labeling, [*rounds, records]).labels


def _decision_details(request: Request, decision: Decision, now: datetime) -> dict[str, Any]:
    end = deadlines_of(request.campaign, request.round).end
    return {
        "action": decision.action,
        "decision": decision.reason,
        "decided_at": now.isoformat(),
        "deadline": end.isoformat() if end else None,
    }


def _earlier_votes(request: Request, record: Record) -> Sequence[Record]:
    """Return the votes of earlier rounds on an item: a disputed correction records them again beside the new ones."""
    return request.known[record["item_id"]].current
