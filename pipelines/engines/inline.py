"""The inline engine: the steps of a campaign in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from activelora.campaign.ledger import Plan, next_plan
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.tracking.publish import publish, publish_if_changed
from components.entry import run_unit
from components.plan.step import close_if_due

Status = Literal["moved", "waiting", "finished"]
OnUnit = Callable[[Unit], None]
"""Called before each unit, so that a caller can show what is going on."""


@dataclass(frozen=True)
class TickResult:
    """How far a campaign went.

    Attributes:
        status: ``moved`` (a round has its labels, more is due), ``waiting`` (for labels) or ``finished``.
        round: The round that is under way.
        done: Units that this call did, in order.
        reason: Why it waits or ended.
        seen: Snapshot of the campaign, the last one.
    """

    status: Status
    round: int
    done: tuple[Unit, ...] = ()
    reason: str = ""
    seen: Snapshot | None = field(default=None, repr=False, compare=False)


def tick(campaign: View, on_unit: OnUnit | None = None) -> TickResult:
    """Collect the labels that are waited for, then do the round that is due: as the KFP tick pipeline does.

    May be killed anywhere and called again: finished units are not repeated.
    """
    campaign = snapshot_of(campaign)
    done: list[Unit] = []
    plan = next_plan(campaign)
    if waits_for_labels(plan) and _do(campaign, plan, done, on_unit):
        plan = next_plan(campaign)
    elif waits_for_labels(plan):
        return _result(campaign, done, waits=True)
    round_ = plan.round
    while plan.status == "work" and plan.round == round_:
        if not _do(campaign, plan, done, on_unit):
            return _result(campaign, done, waits=True)
        plan = next_plan(campaign)
    return _result(campaign, done, waits=False)


def run_campaign(campaign: View, on_unit: OnUnit | None = None) -> TickResult:
    """Tick until the campaign has ended or waits for labels."""
    campaign = snapshot_of(campaign)
    done: tuple[Unit, ...] = ()
    while True:
        result = tick(campaign, on_unit)
        done += result.done
        if result.status != "moved":
            return TickResult(result.status, result.round, done, result.reason, campaign)


def waits_for_labels(plan: Plan) -> bool:
    """Tell whether nothing but labels is missing in the round that is under way."""
    return plan.status == "work" and plan.units[0].step == "await_labels"


def _do(campaign: Snapshot, plan: Plan, done: list[Unit], on_unit: OnUnit | None) -> bool:
    """Do the units of a plan; False if labels are still missing."""
    for unit in plan.units:
        if on_unit:
            on_unit(unit)
        if run_unit(campaign, unit) is None:
            return False
        done.append(unit)
        campaign.refresh()
    return True


def _result(campaign: Snapshot, done: list[Unit], *, waits: bool) -> TickResult:
    """Publish what was done, once, as the last task of the compiled graph does, and say how far it went."""
    if close_if_due(campaign) and not done:
        publish(campaign)
    else:
        publish_if_changed(campaign)
    if done and not waits:
        campaign.refresh()  # publishing took its time: somebody may have stopped the campaign
    plan, reason = next_plan(campaign), campaign.stop_reason
    if reason:
        return TickResult("finished", plan.round, tuple(done), reason, campaign)
    if waits:
        return TickResult("waiting", plan.round, tuple(done), f"round {plan.round} waits for labels", campaign)
    return TickResult("moved", plan.round, tuple(done), seen=campaign)
