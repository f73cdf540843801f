"""The inline engine: the steps of a campaign in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import Plan, next_plan
from activelora.campaign.manifest import Unit
from activelora.tracking.publish import publish, publish_if_changed
from components.entry import run_unit
from components.plan.step import close_if_due

_PUBLISHED_AFTER = ("evaluate_adapter", "await_labels")
"""As in the compiled graph, where `plan` does it after the one, and the task of the other does it itself."""
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
    """

    status: Status
    round: int
    done: tuple[Unit, ...] = ()
    reason: str = ""


def tick(campaign: Campaign, on_unit: OnUnit | None = None) -> TickResult:
    """Collect the labels that are waited for, then do the round that is due: as the KFP tick pipeline does.

    May be killed anywhere and called again: finished units are not repeated.
    """
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


def run_campaign(campaign: Campaign, on_unit: OnUnit | None = None) -> TickResult:
    """Tick until the campaign has ended or waits for labels."""
    done: tuple[Unit, ...] = ()
    while True:
        result = tick(campaign, on_unit)
        done += result.done
        if result.status != "moved":
            return TickResult(result.status, result.round, done, result.reason)


def waits_for_labels(plan: Plan) -> bool:
    """Tell whether nothing but labels is missing in the round that is under way."""
    return plan.status == "work" and plan.units[0].step == "await_labels"


def _do(campaign: Campaign, plan: Plan, done: list[Unit], on_unit: OnUnit | None) -> bool:
    """Do the units of a plan; False if labels are still missing."""
    for unit in plan.units:
        if on_unit:
            on_unit(unit)
        is_done = run_unit(campaign, unit) is not None
        if is_done:
            done.append(unit)
        if unit.step in _PUBLISHED_AFTER:
            close_if_due(campaign)
            publish_if_changed(campaign)
        if not is_done:
            return False
    return True


def _result(campaign: Campaign, done: list[Unit], *, waits: bool) -> TickResult:
    reason = close_if_due(campaign)
    plan = next_plan(campaign)
    if reason and not done:
        publish(campaign)
    elif reason:
        publish_if_changed(campaign)
    if reason:
        return TickResult("finished", plan.round, tuple(done), reason)
    if waits:
        return TickResult("waiting", plan.round, tuple(done), f"round {plan.round} waits for labels")
    return TickResult("moved", plan.round, tuple(done))
