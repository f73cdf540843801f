"""Starting a tick: here as a process of its own, on Kubeflow as the schedule does, or as `activelora submit` does."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.cluster.api import Api

logger = logging.getLogger(__name__)
SUBMIT_SECONDS = 600.0
STOP_SECONDS = 20.0
NUM_RUNS = 20
"""Number of the newest runs that are looked at: a schedule keeps one at a time."""


@dataclass
class TickHere:
    """Runs ``activelora tick`` on this machine, and waits for its end.

    Attributes:
        uri: URI of the campaign.
    """

    uri: str
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Run a tick."""
        self._process = subprocess.Popen(_command("tick", self.uri))
        code = self._process.wait()
        logger.info("the tick has ended%s", f" with exit code {code}" if code else "")
        return True

    def stop(self) -> None:
        """End a tick that is under way, in order: the next one goes on from there."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


@dataclass(frozen=True)
class TickOnKubeflow:
    """Starts a run of the tick on Kubeflow, unless a run of the campaign is in flight: it may train for hours.

    Attributes:
        uri: URI of the campaign.
        in_flight: Tells whether a run is.
        as_scheduled: Starts what the campaign's schedule runs and returns its id, or None where there is no schedule;
            then the campaign is submitted with the settings that it keeps.
        options: More arguments of ``activelora submit``.
    """

    uri: str
    in_flight: Callable[[], bool]
    as_scheduled: Callable[[], str | None] = lambda: None
    options: Sequence[str] = ()

    def start(self) -> bool:
        """Start a run; False where one is in flight."""
        if self.in_flight():
            logger.info("a run is in flight; trying again later")
            return False
        if run_id := self.as_scheduled():
            logger.info("the run %s was started, as scheduled", run_id)
            return True
        done = subprocess.run(_command("submit", self.uri, *self.options), timeout=SUBMIT_SECONDS, check=False)
        logger.info("a run was %s", "not started" if done.returncode else "started")
        return True

    def stop(self) -> None:
        """Do nothing: the run is Kubeflow's."""


def run_in_flight(campaign_name: str, endpoint: str | None, namespace: str | None) -> bool:
    """Tell whether Kubeflow is at a run of a campaign.

    Args:
        campaign_name: Name of the campaign, as in its file.
        endpoint: URL of Kubeflow Pipelines; None takes the environment's.
        namespace: Namespace in a multi-user installation.

    Raises:
        ClusterError: Kubeflow does not answer.
    """
    from pipelines.deploy.schedules import ENDED
    from pipelines.deploy.submission import experiment_name

    api = _api(endpoint, namespace)
    experiment = api.experiment_id(experiment_name(campaign_name))
    if experiment is None:
        return False
    return any(run.state not in ENDED for run in itertools.islice(api.runs(experiment), NUM_RUNS))


def run_of_schedule(campaign_name: str, campaign_uri: str, endpoint: str | None, namespace: str | None) -> str | None:
    """Start what a campaign's schedule runs, with its resources as they are now; None where it has no schedule.

    Args:
        campaign_name: Name of the campaign, as in its file.
        campaign_uri: URI of the campaign.
        endpoint: URL of Kubeflow Pipelines; None takes the environment's.
        namespace: Namespace in a multi-user installation.

    Raises:
        ClusterError: Kubeflow does not answer.
    """
    from pipelines.deploy.schedules import run_now

    return run_now(_api(endpoint, namespace), campaign_name, campaign_uri.rstrip("/"))


def _api(endpoint: str | None, namespace: str | None) -> Api:
    from pipelines.cluster.api import Api
    from pipelines.cluster.connection import find_connection
    from pipelines.cluster.transport import Transport

    connection = find_connection(endpoint, namespace)
    return Api(connection, Transport(connection))


def _command(name: str, uri: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "pipelines.cli", name, uri, *options]
