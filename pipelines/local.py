"""The kfp-local engine: the compiled tick pipeline in KFP's own local runner, each task a subprocess."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from kfp import local

from activelora.campaign.campaign import Campaign, stop_reason
from activelora.campaign.ledger import finished_units, next_plan
from activelora.errors import ActiveLoRAError
from components.image import images
from pipelines.inline import TickResult, waits_for_labels
from pipelines.placement import Placement
from pipelines.publish import publish
from pipelines.round import Graph
from pipelines.tick import tick_pipeline

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FAILED_TASK = re.compile(r"Inner task failed: '([^']+)'")


class EngineError(ActiveLoRAError):
    """A task failed, or the runner did not do what the graph says."""


def run_campaign(campaign: Campaign) -> TickResult:
    """Run the tick pipeline until the campaign has ended or waits for labels.

    Raises:
        EngineError: A task failed.
    """
    before = finished_units(campaign)
    while True:
        result = tick(campaign)
        if result.status != "moved":
            done = tuple(sorted(finished_units(campaign) - before))
            return TickResult(result.status, result.round, done, result.reason)


def tick(campaign: Campaign) -> TickResult:
    """Run the tick pipeline once.

    Raises:
        EngineError: A task failed; or nothing was done although something was due, which the runner would not tell.
    """
    pipeline = tick_pipeline(Placement(campaign.config.resources, images()))
    before = finished_units(campaign)
    run_pipeline(pipeline, {"campaign_uri": campaign.store.uri}, campaign.store.uri)
    done = tuple(sorted(finished_units(campaign) - before))
    plan = next_plan(campaign)
    if stop_reason(campaign) or (done and waits_for_labels(plan)):
        publish(campaign)
    if reason := stop_reason(campaign):
        return TickResult("finished", plan.round, done, reason)
    if waits_for_labels(plan):
        return TickResult("waiting", plan.round, done, f"round {plan.round} waits for labels")
    if not done:
        due = ", ".join(map(str, plan.units))
        raise EngineError(
            f"the local pipeline ended well but did nothing, although this is due: {due}",
            where=campaign.store.uri,
            remedy="Run the campaign with --engine inline, and report this.",
        )
    return TickResult("moved", plan.round, done)


def run_pipeline(pipeline: Graph, arguments: dict[str, object], where: str) -> None:
    """Run a pipeline in KFP's local runner.

    Args:
        pipeline: The pipeline.
        arguments: Its parameters.
        where: The campaign, for messages.

    Raises:
        EngineError: A task failed.
    """
    with _local_runner():
        try:
            pipeline(**arguments)
        except RuntimeError as error:
            failed = _FAILED_TASK.search(_COLOUR.sub("", str(error)))
            raise EngineError(
                f"the task {failed.group(1)} of the local pipeline failed" if failed else str(error),
                where=where,
                remedy="Its log is above. Mend the cause and run the same command again: finished steps are kept.",
            ) from error


@contextmanager
def _local_runner() -> Iterator[None]:
    """Configure KFP's runner, which is a global, for the time of one pipeline."""
    from kfp.local.config import LocalExecutionConfig

    with (
        tempfile.TemporaryDirectory() as scratch,
        warnings.catch_warnings(),
        redirect_stdout(sys.stderr),  # the tasks' logs; stdout is for results
        _temporary_files_in(scratch),
    ):
        # The image is named for the cluster; tasks run with this Python here. The settings for pods have no effect.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"kfp\.local\..*")
        warnings.filterwarnings("ignore", category=UserWarning, module=r"kfp\.local\..*")
        local.init(
            runner=local.SubprocessRunner(use_venv=False),
            pipeline_root=str(Path(scratch) / "outputs"),
            workspace_root=str(Path(scratch) / "workspace"),  # the runner deletes it
            raise_on_error=True,
        )
        try:
            yield
        finally:
            LocalExecutionConfig.instance = None


@contextmanager
def _temporary_files_in(folder: str) -> Iterator[None]:
    """Let the tasks' shells, which never clean up, make their temporary files where they are deleted."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
