"""Models in MLflow's registry: which version an alias stands for, and its files."""

from __future__ import annotations

import os
from pathlib import Path

from activelora.errors import ModelError
from activelora.tracking.mlflow_location import prepare_environment

_SCHEME, _REGISTRY_VARIABLE = "models:/", "MLFLOW_REGISTRY_URI"


def version_uri(uri: str) -> str:
    """Return the URI of the version that an alias stands for now: ``models:/NAME@champion`` → ``models:/NAME/3``.

    Args:
        uri: The model, by its alias.

    Raises:
        ModelError: There is no such model or alias, or the registry cannot be reached.
    """
    name, _, alias = uri.removeprefix(_SCHEME).rpartition("@")
    if not (name and alias):
        raise ModelError("names no model, or no alias", where=uri, remedy="Write models:/NAME@champion.")
    _require_registry(uri)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        version = MlflowClient().get_model_version_by_alias(name, alias).version
    except MlflowException as error:
        raise _failed(uri, error) from error
    return f"{_SCHEME}{name}/{version}"


def fetch_model(uri: str, folder: Path) -> Path:
    """Bring the files of a model into a folder, and return where they are there.

    Args:
        uri: The model: ``models:/NAME/3``, ``models:/NAME@champion``, or the artifacts of a run.
        folder: The folder.

    Raises:
        ModelError: There is no such model, or the registry cannot be reached.
    """
    _require_registry(uri)
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        return Path(download_artifacts(artifact_uri=uri, dst_path=str(folder)))
    except (MlflowException, OSError) as error:
        raise _failed(uri, error) from error


def _require_registry(uri: str) -> None:
    """Refuse to ask where no MLflow is named: it would make an empty database in the current folder, and ask that."""
    prepare_environment()
    import mlflow

    is_here = any(Path(name).exists() for name in ("mlflow.db", "mlruns"))
    if not (mlflow.is_tracking_uri_set() or os.environ.get(_REGISTRY_VARIABLE) or is_here):
        raise ModelError(
            "no MLflow is named that could have it",
            where=uri,
            remedy="Set MLFLOW_TRACKING_URI; `activelora status` prints what a campaign of its own has.",
        )


def _failed(uri: str, error: Exception) -> ModelError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    remedy = "Check the name; MLFLOW_TRACKING_URI says which server is asked."
    return ModelError(f"cannot be fetched from MLflow: {reason}", where=uri, remedy=remedy)
