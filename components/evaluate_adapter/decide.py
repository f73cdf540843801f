"""evaluate_adapter in the graph: measure, then say what follows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot
from activelora.tracking.prometheus import report_metrics
from activelora.tracking.publish import publish_if_changed
from components.entry import NO_SHARDS, Pointer, do_if_due, show_evaluation
from components.plan.step import close_if_due, due
from components.task_context import task


def evaluate_if_due(
    campaign_uri: str, round_: int, num_pods: int, metrics: Pointer | None = None, report: Pointer | None = None
) -> tuple[bool, list[str]]:
    """Do evaluate_adapter if it is due, and say what follows; its numbers and the report go to the KFP UI.

    Where the campaign ends with it, the end is recorded and published here, as no other step follows.

    Args:
        campaign_uri: The campaign.
        round_: The round. KFP hands over whole numbers as floats.
        num_pods: How many pods score at most.
        metrics: Artifact for the numbers; None where there is no KFP UI.
        report: Artifact for the report; None as well.

    Returns:
        Whether labels are to be asked for, and the shares of the shards that are to be scored for it.
    """
    unit = Unit("evaluate_adapter", int(round_))
    with task(unit.step, campaign_uri, unit, keeps_log=False) as here:
        manifest = do_if_due(here, unit)
        seen = Snapshot(here.campaign)
        if close_if_due(seen):
            publish_if_changed(seen)
        else:
            report_metrics(seen)
        if metrics is not None and report is not None:
            show_evaluation(here.campaign, manifest, metrics, report)
        now = due(seen, unit.round)
        return now.label, shares_of(now.shards, int(num_pods))


def shares_of(shards: Sequence[int], num_shares: int) -> list[str]:
    """Return shards in shares of like size, each written as its first and last shard: ``0-249``.

    Args:
        shards: Numbers of the shards, ascending.
        num_shares: How many shares there are at most.

    Returns:
        The shares; one, :data:`NO_SHARDS`, where there are no shards.
    """
    num = min(num_shares, len(shards))
    bounds = [len(shards) * one // num for one in range(num + 1)] if num else []
    return [f"{shards[a]}-{shards[b - 1]}" for a, b in pairwise(bounds)] or [NO_SHARDS]
