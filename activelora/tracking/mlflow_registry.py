"""Model versions of the adapters, and the alias that says which one is the champion."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from activelora.campaign.manifest import Manifest
from activelora.campaign.stopping import Judged
from activelora.tracking.mlflow_files import upload_folder
from activelora.tracking.mlflow_runs import CAMPAIGN_TAG, UNIT_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import Model

CHAMPION_ALIAS = "champion"
_PROMOTED_TAG = "activelora.promoted"
_MODEL_TAG = "activelora.model_id"
_TAGGED_METRICS = ("accuracy", "ece", "rmse", "interval_coverage")
WriteModel = Callable[[Path, "Model"], None]
"""Writes a model of MLflow's into a folder that is not there yet."""


def find_or_create_version(
    client: MlflowClient, name: str, run: Run, evaluation: Manifest, write: WriteModel
) -> ModelVersion:
    """Return the version of a round's adapter in the registered model, created if there is none.

    Of two that were created at once, the one with the lower number stays.

    Args:
        client: Client of the tracking server and its registry.
        name: Registered model.
        run: The round's run; its artifacts hold the adapter.
        evaluation: The round's evaluate_adapter manifest.
        write: Writes the model, where there is no version yet.
    """
    if not (found := _versions(client, name, run)):
        _ensure_registered_model(client, name)
        model = _create_model(client, name, run, write)
        metrics, names = evaluation.metrics, (Judged.noted(evaluation.details).metric, *_TAGGED_METRICS)
        client.create_model_version(
            name,
            source=_source(client, model),
            run_id=run.info.run_id,
            model_id=model.model_id,
            tags={
                CAMPAIGN_TAG: run.data.tags[CAMPAIGN_TAG],
                UNIT_TAG: run.data.tags[UNIT_TAG],
                "round": str(evaluation.round),
                "adapter": f"runs:/{run.info.run_id}/adapter",
                _MODEL_TAG: model.model_id,
                **{name: f"{metrics[name]:.4f}" for name in names if name in metrics},
                "gates": "passed" if evaluation.details["gates"]["passed"] else "failed",
            },
            description="; ".join(evaluation.details["gates"]["reasons"]) or "passed the gates",
        )
        found = _versions(client, name, run)
    first, *doubled = found
    for version in doubled:
        client.delete_model_version(name, version.version)
        client.delete_logged_model(version.tags[_MODEL_TAG])
    return first


def promote(client: MlflowClient, version: ModelVersion) -> None:
    """Move the champion alias to a version, once: a person's later move, a roll-back say, is never undone.

    Nor is that of another sync, which has seen a later round meanwhile.
    """
    if _PROMOTED_TAG not in version.tags and not _is_overtaken(client, version):
        client.set_registered_model_alias(version.name, CHAMPION_ALIAS, version.version)
        client.set_model_version_tag(version.name, version.version, _PROMOTED_TAG, "true")


def _is_overtaken(client: MlflowClient, version: ModelVersion) -> bool:
    """Tell whether the champion was a later round of the campaign already."""
    campaign = version.tags[CAMPAIGN_TAG]
    return any(
        other.name == version.name
        and _PROMOTED_TAG in other.tags
        and int(other.tags["round"]) > int(version.tags["round"])
        for other in client.search_model_versions(f"tags.`{CAMPAIGN_TAG}` = '{campaign}'")
    )


def _versions(client: MlflowClient, name: str, run: Run) -> list[ModelVersion]:
    found = client.search_model_versions(f"run_id = '{run.info.run_id}'")
    return sorted((version for version in found if version.name == name), key=lambda v: int(v.version))


def _ensure_registered_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _create_model(client: MlflowClient, name: str, run: Run, write: WriteModel) -> LoggedModel:
    """Do as ``mlflow.pyfunc.log_model`` does, but on this client: that one uses the process's tracking URI."""
    from mlflow.models import Model

    model = client.create_logged_model(
        run.info.experiment_id, name=_logged_model_name(name), source_run_id=run.info.run_id
    )
    spec = Model(
        artifact_path=model.artifact_location,
        model_uuid=model.model_id,
        model_id=model.model_id,
        run_id=run.info.run_id,
        metadata={"adapter": f"runs:/{run.info.run_id}/adapter"},
    )
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            write(folder, spec)
            upload_folder(partial(client.log_model_artifact, model.model_id), folder)
    except BaseException:
        with suppress(Exception):  # else a model that is never ready stays in sight
            client.delete_logged_model(model.model_id)
        raise
    return client.finalize_logged_model(model.model_id, "READY")


def _source(client: MlflowClient, model: LoggedModel) -> str:
    """Return the model's URI on a server; its folder for a database: MLflow would look in the process's own one."""
    on_server = client.tracking_uri.startswith(("http://", "https://"))
    return str(model.model_uri if on_server else model.artifact_location)


def _logged_model_name(name: str) -> str:
    return "".join("-" if character in "/:.%\"'" else character for character in name)
