"""What is due now, in the form that a KFP graph can branch on."""

from __future__ import annotations

from typing import NamedTuple

from activelora.campaign.campaign import stop_campaign
from activelora.campaign.ledger import next_plan
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.tracking.publish import publish, publish_if_changed
from components.entry import collect_labels
from components.task_context import task

ANY_ROUND = -1
"""Asks for whichever round is under way."""


class Due(NamedTuple):
    """What is due; the fields are the outputs that `plan` had in pipelines compiled by 0.1.0, in their order.

    Attributes:
        round: The round that is under way.
        ingest: The pool has not been read.
        collect: Nothing but labels is missing.
        work: A step between is due: some of the following.
        train: train_adapter.
        evaluate: evaluate_adapter, now or after training.
        label: The model is measured, and labels are to be asked for.
        score: score_pool.
        shards: The shards that are not scored.
        select: select_batch, now or after scoring.
    """

    round: int
    ingest: bool = False
    collect: bool = False
    work: bool = False
    train: bool = False
    evaluate: bool = False
    label: bool = False
    score: bool = False
    shards: tuple[int, ...] = ()
    select: bool = False


def due(campaign: View, round_: int = ANY_ROUND) -> Due:
    """Return what is due in a round; nothing if another round is under way or the campaign has ended.

    Args:
        campaign: The campaign.
        round_: The round to look at, or :data:`ANY_ROUND`.
    """
    plan = next_plan(campaign)
    if plan.status != "work" or round_ not in (ANY_ROUND, plan.round):
        return Due(plan.round)
    first = plan.units[0].step
    if first in ("ingest_pool", "await_labels"):
        waits = first == "await_labels"
        return Due(plan.round, ingest=not waits, collect=waits, label=waits)
    return Due(
        plan.round,
        work=True,
        train=first == "train_adapter",
        evaluate=first in ("train_adapter", "evaluate_adapter"),
        label=first in ("score_pool", "select_batch"),
        score=first == "score_pool",
        shards=tuple(unit.shard for unit in plan.units if unit.shard is not None),
        select=first in ("score_pool", "select_batch"),
    )


def close_if_due(campaign: View) -> str | None:
    """Record the end of a campaign that has come to it, and return why it ended; None while it goes on."""
    seen = snapshot_of(campaign)
    plan = next_plan(seen)
    if plan.status == "stop":
        stop_campaign(seen.campaign, plan.reason)
        seen.refresh()
    return seen.stop_reason


class Begun(NamedTuple):
    """What a tick begins with; the fields are the outputs of the `plan` component, in its order.

    Attributes:
        round: The round that is under way, once labels that were waited for are collected.
        work: Something of it is due that is no waiting for labels.
    """

    round: int
    work: bool


def begin_at(campaign_uri: str, round_: int) -> Begun:
    """Collect labels that are waited for in the campaign at a URI, and return what follows, as KFP outputs.

    Records the campaign's end where it has come to it. Where no step follows, report and MLflow are brought up to date,
    if something has changed: otherwise the last step does it. They are written whatever they show where the campaign
    had ended before: nothing else will, should MLflow have lost it.

    Args:
        campaign_uri: The campaign.
        round_: The round to look at, or :data:`ANY_ROUND`. KFP hands over whole numbers as floats.
    """
    with task("plan", campaign_uri) as here:
        campaign = Snapshot(here.campaign)
        had_ended = campaign.stop_reason
        close_if_due(campaign)
        now = due(campaign, int(round_))
    if now.collect:
        collect_labels(campaign_uri, now.round)
        campaign.refresh()
    with task("plan", campaign_uri):
        close_if_due(campaign)
        now = due(campaign, int(round_))
        if had_ended:
            publish(campaign)
        elif not (now.ingest or now.work):
            publish_if_changed(campaign)
            campaign.refresh()  # publishing took its time: somebody may have answered, or stopped the campaign
            now = due(campaign, int(round_))
        return Begun(now.round, now.ingest or now.work)


def due_at(campaign_uri: str, round_: int, publishes: bool) -> tuple[int | bool | list[int], ...]:
    """Return what is due in the campaign at a URI, as KFP outputs: what pipelines compiled by 0.1.0 call.

    Records the campaign's end where it has come to it.

    Args:
        campaign_uri: The campaign.
        round_: The round to look at, or :data:`ANY_ROUND`. KFP hands over whole numbers as floats.
        publishes: Bring report and MLflow up to date; done in any case for a campaign that has ended. Where that was
            before, they are written whatever they show: nothing else will, should MLflow have lost it.
    """
    with task("plan", campaign_uri) as here:
        campaign = Snapshot(here.campaign)
        had_ended, ended = campaign.stop_reason, close_if_due(campaign)
        if had_ended:
            publish(campaign)
        elif publishes or ended:
            publish_if_changed(campaign)
        campaign.refresh()  # publishing took its time: somebody may have stopped the campaign
        return tuple(list(value) if isinstance(value, tuple) else value for value in due(campaign, int(round_)))
