"""Runs in MLflow that are found or created by a tag, so that a replay never doubles one.

MLflow has no create-if-absent. Two writers may both search, find nothing and create; so after creating, each searches
again, and all but the oldest run of a tag are deleted. Who is oldest is read from the runs' own tags, so every writer
comes to the same answer, in any order. What the other wrote into the lost run is written again by the next sync.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from activelora.errors import ConfigError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

CAMPAIGN_TAG = "activelora.campaign"
UNIT_TAG = "activelora.unit"
_CREATED_TAG = "activelora.created_ns"


@dataclass(frozen=True)
class NewRun:
    """What a run that does not exist yet will be.

    Attributes:
        unit: Unique name; the value of its tag.
        name: Name for people.
        start_ms: When the work began, milliseconds since 1970.
        tags: Further tags.
    """

    unit: str
    name: str
    start_ms: int
    tags: Mapping[str, str]


def find_or_create_run(client: MlflowClient, experiment_id: str, new: NewRun, found: Sequence[Run] = ()) -> Run:
    """Return the one run with the unit's tag, created if there is none.

    Args:
        client: Client of the tracking server.
        experiment_id: The experiment.
        new: What the run is, if there is none.
        found: What a search has found of the unit, oldest first.
    """
    if not found:
        tags = {**new.tags, UNIT_TAG: new.unit, _CREATED_TAG: str(time.time_ns())}
        client.create_run(experiment_id, start_time=new.start_ms, tags=tags, run_name=new.name)
        found = find_runs(client, experiment_id, UNIT_TAG, new.unit)[new.unit]
    oldest, *younger = found
    for run in younger:
        client.delete_run(run.info.run_id)
    return oldest


def find_runs(client: MlflowClient, experiment_id: str, tag: str, value: str) -> dict[str, list[Run]]:
    """Return the live runs that have a tag, by unit, of each unit the oldest first.

    Args:
        client: Client of the tracking server.
        experiment_id: The experiment.
        tag: Name of the tag: of a unit, or of a campaign.
        value: Its value.
    """
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment_id], filter_string=f"tags.`{tag}` = '{value}'", page_token=token)
        runs += page
        token = page.token
        if not token:
            break
    units: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (int(run.data.tags.get(_CREATED_TAG, "0")), run.info.run_id)):
        units.setdefault(run.data.tags[UNIT_TAG], []).append(run)
    return units


def find_or_create_experiment(client: MlflowClient, name: str, artifact_location: str | None) -> str:
    """Return the id of the experiment with this name.

    Raises:
        ConfigError: It was deleted: MLflow keeps the name, and takes no run for it.
    """
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        return _living(found)
    try:
        return str(client.create_experiment(name, artifact_location=artifact_location))
    except MlflowException:
        # Another writer may have created it between the two calls.
        if found := client.get_experiment_by_name(name):
            return _living(found)
        raise


def _living(experiment: Experiment) -> str:
    if experiment.lifecycle_stage == "deleted":
        raise ConfigError(
            f"the experiment `{experiment.name}` was deleted in MLflow, which keeps its name and takes nothing for it",
            where="tracking.experiment",
            remedy=f"Restore it (mlflow experiments restore --experiment-id {experiment.experiment_id}), or set "
            "tracking.experiment to another name.",
        )
    return str(experiment.experiment_id)
