"""Recurring runs of the tick pipeline. KFP cannot change one: a new one is made, and the old one drained and deleted.

At every moment one of them is enabled, or the old one is being drained; never two. Whatever fails in between, the one
that was enabled is enabled again, or the error says what to do.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import kfp_server_api as kfp

from pipelines.cluster.api import Api
from pipelines.cluster.errors import ClusterError
from pipelines.deploy.cron import describe_cron
from pipelines.deploy.submission import Registered, experiment_name, experiment_of

ENDED = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
_DIGEST = re.compile(r"activelora-spec: sha256:([0-9a-f]{64})")
Outcome = Literal["created", "unchanged", "enabled", "replaced", "unchanged, and disabled", "replaced, and disabled"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Schedule:
    """What a recurring run is to do. Equal schedules have equal digests, whatever ids the server gives.

    Attributes:
        campaign: The campaign's name.
        campaign_uri: URI of the campaign.
        cron: Six fields, checked.
        pipeline: Name of the pipeline.
        version: Name of its version.
        service_account: Service account of the pods; None is Kubeflow's default.
        parameters: What its runs are started with, beside the campaign.
    """

    campaign: str
    campaign_uri: str
    cron: str
    pipeline: str
    version: str
    service_account: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the recurring run."""
        return f"{self.campaign}-tick"

    @property
    def digest(self) -> str:
        """SHA-256 of all that matters, in hexadecimal."""
        spec = {**asdict(self), "max_concurrency": 1, "no_catchup": True}
        return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Drain:
    """How to wait for a run in flight.

    Attributes:
        timeout_seconds: Seconds to wait at most.
        pause_seconds: Seconds between two looks.
        dry: Do not wait: nothing has been disabled.
        say: Called with what is waited for.
    """

    timeout_seconds: float = 3600.0
    pause_seconds: float = 10.0
    dry: bool = False
    say: Say = print


def apply(
    api: Api, schedule: Schedule, registered: Registered, drain: Drain, *, keep_disabled: bool = False
) -> Outcome:
    """Make the server's recurring run be this schedule. May be called again, also after it was killed anywhere.

    Args:
        api: The server.
        schedule: Schedule that is wanted.
        registered: The pipeline version that it runs.
        drain: How to wait for a run in flight.
        keep_disabled: Leave a schedule that somebody has disabled so.

    Raises:
        ClusterError: A run in flight did not end in time; the old schedule goes on.
    """
    experiment_id = experiment_of(api, schedule.campaign)
    there = api.recurring_runs(experiment_id, schedule.name)
    rests = keep_disabled and bool(there) and all(one.status == "DISABLED" for one in there)
    current = next((one for one in there if _digest_of(one) == schedule.digest), None)
    if not there:
        api.create_recurring_run(_recurring_run(api, schedule, registered, experiment_id, "ENABLE"))
        return "created"
    if current is not None and len(there) == 1:
        if current.status != "DISABLED":
            return "unchanged"
        if rests:
            return "unchanged, and disabled"
        api.enable(current.recurring_run_id)
        return "enabled"
    others = [one for one in there if one is not current]
    with _drained(api, experiment_id, others, drain):
        if current is None:
            new = _recurring_run(api, schedule, registered, experiment_id, "DISABLE")
            current_id, is_on = api.create_recurring_run(new), False
        else:
            current_id, is_on = current.recurring_run_id, current.status != "DISABLED"
        if not is_on and not rests:
            _enable(api, experiment_id, schedule.name, current_id)
    _delete(api, others, f"{schedule.name} is replaced")
    return "replaced, and disabled" if rests else "replaced"


def remove(api: Api, campaign: str, drain: Drain) -> int:
    """Delete a campaign's recurring runs, and return how many there were.

    Raises:
        ClusterError: A run in flight did not end in time; the schedule goes on.
    """
    experiment_id = api.experiment_id(experiment_name(campaign))
    there = [] if experiment_id is None else api.recurring_runs(experiment_id, f"{campaign}-tick")
    if experiment_id is not None:
        with _drained(api, experiment_id, there, drain):
            pass
        _delete(api, there, f"{campaign}-tick is disabled")
    return len(there)


def find(api: Api, campaign: str) -> kfp.V2beta1RecurringRun | None:
    """Return a campaign's recurring run, if it has one; of several, which a failed replacement leaves, the enabled."""
    experiment_id = api.experiment_id(experiment_name(campaign))
    there = [] if experiment_id is None else api.recurring_runs(experiment_id, f"{campaign}-tick")
    return next((one for one in there if one.status != "DISABLED"), there[0] if there else None)


def run_now(api: Api, campaign: str, campaign_uri: str) -> str | None:
    """Start what the campaign's schedule runs, and return the run's id; None where it has none for this URI."""
    recurring = find(api, campaign)
    config = recurring.runtime_config if recurring else None
    if recurring is None or config is None or (config.parameters or {}).get("campaign_uri") != campaign_uri:
        return None
    run = kfp.V2beta1Run(
        display_name=recurring.display_name,
        description=campaign_uri,
        experiment_id=recurring.experiment_id,
        pipeline_version_reference=recurring.pipeline_version_reference,
        runtime_config=config,
        service_account=recurring.service_account,
    )
    return api.create_run(run)


def cron_of(recurring: kfp.V2beta1RecurringRun) -> str:
    """Return the cron expression of a recurring run, empty if it has none."""
    schedule = recurring.trigger.cron_schedule if recurring.trigger else None
    return schedule.cron or "" if schedule else ""


@contextmanager
def _drained(api: Api, experiment_id: str, there: list[kfp.V2beta1RecurringRun], drain: Drain) -> Iterator[None]:
    """Disable recurring runs and wait until nothing is in flight; if the block fails, enable them again."""
    enabled = [one for one in there if one.status != "DISABLED"]
    try:
        for one in enabled:
            api.disable(one.recurring_run_id)
        for one in there:
            _wait_until_idle(api, experiment_id, one.recurring_run_id, drain)
        yield
    except BaseException:  # also an interrupt or SIGTERM: the old schedule must not stay disabled unnoticed
        for one in enabled:
            _enable_again(api, one)
        raise


def _enable(api: Api, experiment_id: str, name: str, recurring_run_id: str) -> None:
    """Enable a recurring run. Where the answer was lost, what the server lists tells whether it was done."""
    try:
        api.enable(recurring_run_id)
    except ClusterError:
        there = {one.recurring_run_id: one.status for one in api.recurring_runs(experiment_id, name)}
        if there.get(recurring_run_id) != "ENABLED":
            raise


def _enable_again(api: Api, recurring: kfp.V2beta1RecurringRun) -> None:
    try:
        api.enable(recurring.recurring_run_id)
    except ClusterError as error:
        raise ClusterError(
            f"the schedule {recurring.display_name} is disabled and could not be enabled again: {error.problem}",
            where=f"recurring run {recurring.recurring_run_id}",
            remedy="Nothing ticks until then: run the same command again, or enable it in the Kubeflow UI.",
        ) from error


def _delete(api: Api, there: list[kfp.V2beta1RecurringRun], state: str) -> None:
    """Delete recurring runs that are disabled and idle: deleting would kill a run in flight."""
    for one in there:
        try:
            api.delete_recurring_run(one.recurring_run_id)
        except ClusterError as error:
            raise ClusterError(
                f"{state}, but its old recurring run, which is disabled, could not be deleted: {error.problem}",
                where=f"recurring run {one.recurring_run_id}",
                remedy="Run the same command again: it deletes what is left.",
            ) from error


def _wait_until_idle(api: Api, experiment_id: str, recurring_run_id: str, drain: Drain) -> None:
    """Return once two looks, a pause apart, find no run: one that was just being started is listed a moment later."""
    until = time.monotonic() + drain.timeout_seconds
    said: str | None = None
    was_idle = False
    while True:
        flying = [
            run
            for run in api.runs(experiment_id)
            if run.recurring_run_id == recurring_run_id and run.state not in ENDED
        ]
        if not flying:
            if was_idle or drain.dry:
                return
            was_idle = True
            time.sleep(_pause(drain, until))
            continue
        was_idle = False
        run = flying[0]
        if run.run_id != said:
            drain.say(f"{'would wait' if drain.dry else 'waiting'} for the run in flight: {run.run_id} ({run.state})")
            said = run.run_id
        if drain.dry:
            return
        if time.monotonic() >= until:
            raise ClusterError(
                f"the run {run.run_id} is still {run.state} after {drain.timeout_seconds:g} seconds",
                where="the schedule in place, which goes on as it was",
                remedy="Run the command again later, or give it a longer --timeout.",
            )
        time.sleep(_pause(drain, until))


def _pause(drain: Drain, until: float) -> float:
    return min(drain.pause_seconds, max(0.0, until - time.monotonic()))


def _recurring_run(
    api: Api, schedule: Schedule, registered: Registered, experiment_id: str, mode: Literal["ENABLE", "DISABLE"]
) -> kfp.V2beta1RecurringRun:
    parameters = {"campaign_uri": schedule.campaign_uri, **schedule.parameters}
    return kfp.V2beta1RecurringRun(
        display_name=schedule.name,
        description=f"{describe_cron(schedule.cron)}; activelora-spec: sha256:{schedule.digest}",
        experiment_id=experiment_id,
        namespace=api.namespace,
        pipeline_version_reference=registered.reference,
        runtime_config=kfp.V2beta1RuntimeConfig(parameters=parameters),
        service_account=schedule.service_account,
        max_concurrency="1",
        no_catchup=True,
        mode=mode,
        trigger=kfp.V2beta1Trigger(cron_schedule=kfp.V2beta1CronSchedule(cron=schedule.cron)),
    )


def _digest_of(recurring: kfp.V2beta1RecurringRun) -> str | None:
    found = _DIGEST.search(recurring.description or "")
    return found[1] if found else None
