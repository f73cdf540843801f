"""Starting a tick, here or on Kubeflow: always as a process of its own, by the commands that people use."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

logger = logging.getLogger(__name__)
SUBMIT_SECONDS = 600.0
STOP_SECONDS = 20.0
NUM_RUNS = 20
"""So many of the newest runs are looked at: a schedule keeps one at a time."""


@dataclass
class TickHere:
    """Runs ``activelora tick`` on this machine, and waits for its end.

    Attributes:
        place: The campaign.
    """

    place: str
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Run a tick."""
        self._process = subprocess.Popen(_command("tick", self.place))
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
        place: The campaign.
        in_flight: Tells whether a run is.
        options: More arguments of ``activelora submit``.
    """

    place: str
    in_flight: Callable[[], bool]
    options: Sequence[str] = ()

    def start(self) -> bool:
        """Start a run; False where one is in flight."""
        if self.in_flight():
            logger.info("a run is in flight; trying again later")
            return False
        done = subprocess.run(_command("submit", self.place, *self.options), timeout=SUBMIT_SECONDS, check=False)
        logger.info("a run was %s", "not started" if done.returncode else "started")
        return True

    def stop(self) -> None:
        """Do nothing: the run is Kubeflow's."""


def run_in_flight(campaign_name: str, endpoint: str | None, namespace: str | None) -> bool:
    """Tell whether Kubeflow is at a run of a campaign.

    Args:
        campaign_name: As in its file.
        endpoint: Of Kubeflow Pipelines; None takes the environment's.
        namespace: Of a multi-user installation.

    Raises:
        ClusterError: Kubeflow does not answer.
    """
    from pipelines.cluster.api import Api
    from pipelines.cluster.connection import find_connection
    from pipelines.cluster.schedules import ENDED
    from pipelines.cluster.submission import experiment_name
    from pipelines.cluster.transport import Transport

    connection = find_connection(endpoint, namespace)
    api = Api(connection, Transport(connection))
    experiment = api.experiment_id(experiment_name(campaign_name))
    if experiment is None:
        return False
    return any(run.state not in ENDED for run in itertools.islice(api.runs(experiment), NUM_RUNS))


def _command(name: str, place: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "pipelines.cli", name, place, *options]
