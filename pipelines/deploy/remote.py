"""What Kubeflow says of a campaign: its schedule and its last runs."""

from __future__ import annotations

from itertools import islice
from typing import Any

import kfp_server_api as kfp

from pipelines.cluster.api import Api
from pipelines.deploy import schedules
from pipelines.deploy.cron import describe_cron, next_times
from pipelines.deploy.submission import experiment_name

NUM_RUNS = 10


def remote_status(api: Api, campaign: str, num_runs: int = NUM_RUNS) -> dict[str, Any]:
    """Return schedule and last runs of a campaign, ready for JSON.

    Args:
        api: The server.
        campaign: The campaign's name.
        num_runs: How many runs, the newest first.
    """
    experiment_id = api.experiment_id(experiment_name(campaign))
    recurring = schedules.find(api, campaign)
    runs = [] if experiment_id is None else list(islice(api.runs(experiment_id), num_runs))
    return {
        "name": campaign,
        "endpoint": api.endpoint,
        "namespace": api.namespace,
        "schedule": None if recurring is None else _schedule(recurring),
        "runs": [_run(api, run) for run in runs],
    }


def _schedule(recurring: kfp.V2beta1RecurringRun) -> dict[str, Any]:
    cron = schedules.cron_of(recurring)
    return {
        "id": recurring.recurring_run_id,
        "status": recurring.status,
        "cron": cron,
        "words": describe_cron(cron) if cron else "",
        "next": [time.isoformat() for time in next_times(cron, 3)] if cron else [],
        "campaign": ((recurring.runtime_config and recurring.runtime_config.parameters) or {}).get("campaign_uri"),
    }


def _run(api: Api, run: kfp.V2beta1Run) -> dict[str, Any]:
    return {
        "id": run.run_id,
        "name": run.display_name,
        "state": run.state or "UNKNOWN",  # a run just made has none yet
        "created": _time(run.created_at),
        "finished": _time(run.finished_at),
        "scheduled": bool(run.recurring_run_id),
        "failed": _failures(api.run(run.run_id)) if run.state == "FAILED" else [],
    }


def _failures(run: kfp.V2beta1Run) -> list[str]:
    """Return the names of the tasks that failed, with their messages, or the run's own."""
    tasks = (run.run_details and run.run_details.task_details) or []
    failed = [task for task in tasks if task.state == "FAILED" and not task.child_tasks]
    words = [
        f"{task.display_name}: {task.error.message}" if task.error and task.error.message else str(task.display_name)
        for task in failed
    ]
    return words or ([str(run.error.message)] if run.error and run.error.message else [])


def _time(value: Any) -> str | None:
    # The server sends the year 1970 for what has not happened.
    return value.isoformat() if value is not None and value.year > 1970 else None
