"""From a task of any engine to a step: open the campaign, run the unit, leave a pointer for the KFP UI.

Steps know neither URIs nor Kubeflow, and this module knows no step: it finds them by name, so that loading one does
not load the others.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import due_ingest, next_plan
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.snapshot import View
from activelora.campaign.stopping import Judged
from activelora.config.steps import StepName
from activelora.log_lines import log_context
from activelora.tracking.prometheus import report_metrics
from activelora.tracking.publish import publish_if_changed
from components.task_context import Task, task

logger = logging.getLogger(__name__)
NO_SHARDS = "none"
"""A share without shards: KFP is never given an empty list to loop over."""
UI_METRICS = ("accuracy", "ece", "nll", "brier", "macro_f1", "rmse", "mae", "interval_coverage", "num_holdout")


class Pointer(Protocol):
    """The part of a KFP artifact that is used here."""

    path: str
    metadata: dict[str, Any]


def run_unit(campaign: View, unit: Unit) -> Manifest | None:
    """Do a unit, or return its manifest if it is done; None means that labels are still missing."""
    step = import_module(f"components.{unit.step}.step")
    arguments: tuple[int, ...] = () if unit.step == "ingest_pool" else (unit.round,)
    if unit.shard is not None:
        arguments = (*arguments, unit.shard)
    options: dict[str, Any] = {"number": unit.round} if unit.step == "ingest_pool" else {}
    if unit.step == "await_labels":  # for hours within the step: report and MLflow say so meanwhile
        options["on_wait"] = partial(publish_if_changed, campaign)
    with log_context(campaign=campaign.store.uri, step=unit.step, round=unit.round):
        manifest: Manifest | None = step.run(campaign, *arguments, **options)
    return manifest


def run_at(
    step: StepName, campaign_uri: str, round_: int = 0, shard: int | None = None, artifact: Pointer | None = None
) -> None:
    """Do one unit of the campaign at a URI, due or not: what pipelines compiled by 0.1.0 call.

    await_labels is the last task of a tick: it brings report and MLflow up to date too, before it waits and after.
    Where the next round begins with a refresh of the pool, it is done here as well, which saves a pod. As ingest_pool,
    what of it is due is done: the first reading of the pool, or a refresh.

    Args:
        step: The step's name.
        campaign_uri: The campaign.
        round_: The round. KFP hands over whole numbers as floats.
        shard: Number of the pool's shard, for score_pool.
        artifact: What the KFP UI shows; None for nothing.
    """
    unit = Unit(step, int(round_), None if shard is None else int(shard))
    with task(step, campaign_uri, unit) as here:
        _run(here, unit, artifact, lambda here, unit: run_unit(here.campaign, unit))


def evaluate_at(campaign_uri: str, round_: int, metrics: Pointer, report: Pointer) -> None:
    """Do evaluate_adapter, due or not: what pipelines compiled by 0.1.0 call, whose `plan` publishes afterwards."""
    unit = Unit("evaluate_adapter", int(round_))
    with task(unit.step, campaign_uri, unit) as here:
        show_evaluation(here.campaign, run_unit(here.campaign, unit), metrics, report)
        report_metrics(here.campaign)


def run_if_due(step: StepName, campaign_uri: str, round_: int = 0, artifact: Pointer | None = None) -> None:
    """Do one unit of the campaign at a URI if it is due, and point a KFP artifact at what it produced.

    Done before, or not due, it ends well at once: the graph has no condition for each step. await_labels is the last
    task of a tick: it publishes what the tick did, and does the refresh of the pool that the next round begins with.

    Args:
        step: The step's name.
        campaign_uri: The campaign.
        round_: The round. KFP hands over whole numbers as floats.
        artifact: What the KFP UI shows; None for nothing.
    """
    unit = Unit(step, int(round_))
    with task(step, campaign_uri, unit, keeps_log=False) as here:
        _run(here, unit, artifact, do_if_due)


def _run(here: Task, unit: Unit, artifact: Pointer | None, do: Callable[[Task, Unit], Manifest | None]) -> None:
    """Do a task's unit, and what goes with it."""
    campaign, step = here.campaign, unit.step
    if step == "ingest_pool":
        unit = due_ingest(campaign) or unit
    manifest = do(here, unit)
    if manifest and artifact is not None:
        point(artifact, campaign, manifest)
    if step == "await_labels":
        publish_if_changed(campaign)
        if manifest and (refresh := due_ingest(campaign)):
            run_unit(campaign, refresh)
    else:
        report_metrics(campaign)


def do_if_due(here: Task, unit: Unit) -> Manifest | None:
    """Do a task's unit if it is due; return its manifest, or None where there is none: labels are missing, say."""
    campaign = here.campaign
    if done := campaign.manifest(unit):
        logger.info("%s is done", unit)
        return done
    if unit not in next_plan(campaign).units:
        logger.info("%s is not due", unit)
        return None
    here.keep_log()
    return run_unit(campaign, unit)


def score_share(campaign_uri: str, round_: int, share: str) -> None:
    """Do score_pool for the shards of a share that are due, one after another: killed, it goes on where it was.

    Args:
        campaign_uri: The campaign.
        round_: The round. KFP hands over whole numbers as floats.
        share: First and last shard, ``0-249``, or :data:`NO_SHARDS`.
    """
    if share == NO_SHARDS:
        return
    first, last = map(int, share.split("-"))
    with task("score_pool", campaign_uri) as here:
        units = [
            unit for unit in next_plan(here.campaign).units if unit.step == "score_pool" and unit.round == int(round_)
        ]
        shards = [unit.shard for unit in units if unit.shard is not None and first <= unit.shard <= last]
        logger.info("shards %s of round %d: %d are not scored", share, int(round_), len(shards))
    for shard in shards:
        unit = Unit("score_pool", int(round_), shard)
        with task("score_pool", campaign_uri, unit, keeps_log=False) as here:
            do_if_due(here, unit)
            report_metrics(here.campaign)


def collect_labels(campaign_uri: str, round_: int) -> None:
    """Ask for labels and take what is there: await_labels at the beginning of a tick, without what follows its end."""
    unit = Unit("await_labels", round_)
    with task(unit.step, campaign_uri, unit, keeps_log=False) as here:
        do_if_due(here, unit)


def show_evaluation(campaign: Campaign, manifest: Manifest | None, metrics: Pointer, report: Pointer) -> None:
    """Hand an evaluation's numbers, if there are any, and the report to the KFP UI."""
    from activelora.tracking.report import render_report

    if manifest:
        point(metrics, campaign, manifest)
        names = (Judged.noted(manifest.details).metric, *UI_METRICS)
        metrics.metadata.update({name: manifest.metrics[name] for name in names if name in manifest.metrics})
    Path(report.path).write_text(render_report(campaign, {}), encoding="utf-8")


def point(artifact: Pointer, campaign: Campaign, manifest: Manifest) -> None:
    """Write where the result is, not the result: truth is the campaign store, and KFP's copy would be a second one."""
    unit = Unit(manifest.step, manifest.round, manifest.shard)
    pointer = {
        "campaign": campaign.store.uri,
        "manifest": unit.manifest_key,
        "digest": manifest.digest,
        "files": {name: entry.key for name, entry in manifest.files.items()},
    }
    artifact.metadata.update({key: pointer[key] for key in ("campaign", "manifest", "digest")})
    Path(artifact.path).write_text(json.dumps(pointer, indent=1), encoding="utf-8")
