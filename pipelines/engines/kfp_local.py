"""The kfp-local engine: the compiled tick pipeline in KFP's own local runner, each task a subprocess or a container."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from pathlib import Path

from kfp import local

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import next_plan
from activelora.campaign.snapshot import View, snapshot_of
from activelora.config import ResourcesConfig
from components.image import images
from pipelines.engines.errors import EngineError, Runner
from pipelines.engines.inline import TickResult, waits_for_labels
from pipelines.graphs.placement import Placement
from pipelines.graphs.round import Graph
from pipelines.graphs.tick import tick_pipeline

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FAILED_TASK = re.compile(r"Inner task failed: '([^']+)'")


def run_campaign(campaign: View, runner: Runner = Runner.subprocess) -> TickResult:
    """Run the tick pipeline until the campaign has ended or waits for labels.

    Raises:
        EngineError: A task failed.
    """
    seen = snapshot_of(campaign)
    before = seen.done
    while True:
        result = tick(seen, runner)
        if result.status != "moved":
            return TickResult(result.status, result.round, tuple(sorted(seen.done - before)), result.reason, seen)


def tick(campaign: View, runner: Runner = Runner.subprocess) -> TickResult:
    """Run the tick pipeline once.

    Raises:
        EngineError: A task failed; or nothing was done although something was due, which the runner would not tell.
    """
    seen = snapshot_of(campaign)
    pipeline = local_graph(seen.config.resources)
    before = seen.done
    tasks = in_containers(seen.campaign) if runner is Runner.docker else in_subprocesses()
    run_pipeline(pipeline, {"campaign_uri": seen.store.uri}, seen.store.uri, tasks)
    seen.refresh()
    done = tuple(sorted(seen.done - before))
    plan = next_plan(seen)
    if reason := seen.stop_reason:
        return TickResult("finished", plan.round, done, reason, seen)
    if waits_for_labels(plan):
        return TickResult("waiting", plan.round, done, f"round {plan.round} waits for labels", seen)
    if not done:
        due = ", ".join(map(str, plan.units))
        raise EngineError(
            f"the local pipeline ended well but did nothing, although this is due: {due}",
            where=seen.store.uri,
            remedy="Run the campaign with --engine inline, and report this.",
        )
    return TickResult("moved", plan.round, done, seen=seen)


def local_graph(resources: ResourcesConfig) -> Graph:
    """Return the tick pipeline for this machine: which has no other nodes and no volume for models."""
    here = resources.model_copy(update={"train": resources.train.model_copy(update={"num_nodes": 1})})
    return tick_pipeline(Placement(here, images(), in_pods=False))


def run_pipeline(
    pipeline: Graph, arguments: dict[str, object], where: str, tasks: AbstractContextManager[None] | None = None
) -> None:
    """Run a pipeline in KFP's local runner.

    Args:
        pipeline: The pipeline.
        arguments: Its parameters.
        where: The campaign, for messages.
        tasks: :func:`in_subprocesses`, which None is too, or :func:`in_containers`.

    Raises:
        EngineError: A task failed.
    """
    with tasks or in_subprocesses():
        try:
            pipeline(**arguments)
        except RuntimeError as error:
            failed = _FAILED_TASK.search(_COLOUR.sub("", str(error)))
            raise EngineError(
                f"the task {failed.group(1)} of the local pipeline failed" if failed else str(error),
                where=where,
                remedy="Its log is above. Fix the cause and run the same command again: finished steps are kept.",
            ) from error


@contextmanager
def in_subprocesses() -> Iterator[None]:
    """Let the tasks of a pipeline be processes with this Python."""
    runner = local.SubprocessRunner(use_venv=False)
    with (
        _terminated_at_once(),
        tempfile.TemporaryDirectory() as scratch,
        _temporary_files_in(scratch),
        _configured(runner, Path(scratch)),
    ):
        yield


@contextmanager
def _terminated_at_once() -> Iterator[None]:
    """Let SIGTERM end this process: to end in order, KFP would first wait for a task that knows nothing of it."""
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@contextmanager
def in_containers(campaign: Campaign) -> Iterator[None]:
    """Let the tasks of a pipeline be containers.

    Raises:
        EngineError: They cannot do the campaign's work.
    """
    from pipelines.engines.containers import container_runner, engine_answers, exit_codes_count

    runner = container_runner(campaign)
    with tempfile.TemporaryDirectory() as scratch, exit_codes_count(), _configured(runner, Path(scratch)):
        for name in ("outputs", "workspace"):
            folder = Path(scratch) / name
            folder.mkdir()
            folder.chmod(0o777)  # the containers' user is another one; nobody else gets past the folder around it
        with engine_answers():
            yield


@contextmanager
def _configured(runner: local.SubprocessRunner | local.DockerRunner, scratch: Path) -> Iterator[None]:
    """Configure KFP's runner, which is a global, for the time of one pipeline."""
    from kfp.local.config import LocalExecutionConfig

    with (
        warnings.catch_warnings(),
        redirect_stdout(sys.stderr),  # the tasks' logs; stdout is for results
    ):
        # Subprocesses use this Python, not the image named for the cluster. The settings for pods have no effect.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"kfp\.local\..*")
        warnings.filterwarnings("ignore", category=UserWarning, module=r"kfp\.local\..*")
        local.init(
            runner=runner,
            pipeline_root=str(scratch / "outputs"),
            workspace_root=str(scratch / "workspace"),  # the runner deletes it
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
