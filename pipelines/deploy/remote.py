"""What Kubeflow says of a campaign: its schedule and its last runs."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

import kfp_server_api as kfp

from activelora.campaign.campaign import Campaign, stop_reason
from activelora.campaign.ledger import next_plan
from pipelines.cluster.api import Api
from pipelines.deploy import schedules
from pipelines.deploy.cron import describe_cron, next_times
from pipelines.deploy.submission import experiment_name

NUM_RUNS, NUM_LINES = 10, 3
_EXECUTOR = re.compile(r"^executor(\(\d+\))?$")


def remote_status(api: Api, name: str, campaign: Campaign | None = None, num_runs: int = NUM_RUNS) -> dict[str, Any]:
    """Return schedule and last runs of a campaign, ready for JSON.

    Args:
        api: The server.
        name: The campaign's name.
        campaign: The campaign, for what its store says besides.
        num_runs: How many runs, the newest first.

    Returns:
        ``schedule``, ``runs``, where the newest run failed ``stopped_at`` (:func:`stopped_at`), and ``ended``, why the
        campaign has ended if it has: the latter two by its store.
    """
    experiment_id = api.experiment_id(experiment_name(name))
    recurring = schedules.find(api, name)
    runs = [] if experiment_id is None else list(islice(api.runs(experiment_id), num_runs))
    return {
        "name": name,
        "endpoint": api.endpoint,
        "namespace": api.namespace,
        "schedule": None if recurring is None else _schedule(recurring),
        "runs": [_run(api, run) for run in runs],
        "stopped_at": stopped_at(campaign) if campaign and runs and runs[0].state == "FAILED" else None,
        "ended": stop_reason(campaign) if campaign else None,
    }


def stopped_at(campaign: Campaign) -> dict[str, Any] | None:
    """Return the unit at which a campaign stands and the end of its log, which each task keeps beside its results.

    Args:
        campaign: The campaign.

    Returns:
        ``unit`` and ``log``, its last messages: those of errors, where there are any. None where nothing is due.
    """
    for unit in next_plan(campaign).units:
        if not campaign.store.exists(unit.log_key):
            continue
        lines = [json.loads(line) for line in campaign.store.read(unit.log_key).decode().splitlines()]
        errors = [line for line in lines if line["level"] in ("ERROR", "CRITICAL")]
        return {"unit": str(unit), "log": [line["message"] for line in (errors or lines)[-NUM_LINES:]]}
    return next(({"unit": str(unit), "log": []} for unit in next_plan(campaign).units), None)


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
    """Return the names of the tasks that failed, with their messages, or the run's own.

    A pod's task is called `executor` by Kubeflow; the step's name is that of the task around it.
    """
    tasks = (run.run_details and run.run_details.task_details) or []
    by_id = {task.task_id: task for task in tasks}
    words = []
    for task in tasks:
        if task.state != "FAILED" or task.child_tasks:
            continue
        step = task
        while _EXECUTOR.match(str(step.display_name)) and step.parent_task_id in by_id:
            step = by_id[step.parent_task_id]
        message = (task.error and task.error.message) or (step.error and step.error.message)
        words.append(f"{step.display_name}: {message}" if message else str(step.display_name))
    return words or ([str(run.error.message)] if run.error and run.error.message else [])


def _time(value: Any) -> str | None:
    # The server sends the year 1970 for what has not happened.
    return value.isoformat() if value is not None and value.year > 1970 else None
