"""Which MLflow a campaign writes to, and how to look at it."""

from __future__ import annotations

import logging
import os
import shlex
from pathlib import Path

from activelora.campaign.campaign import Campaign
from activelora.redacting import without_credentials as without_credentials

# A hanging server would block every call for about 20 minutes with MLflow's own defaults.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Else the uv.lock of whatever folder this runs in becomes a part of the model, and replaces its own requirements.
    "MLFLOW_UV_AUTO_DETECT": "false",
}


def tracking_uri(campaign: Campaign) -> str | None:
    """Return where MLflow is: ``tracking.uri``, else ``MLFLOW_TRACKING_URI``, else sqlite in a local campaign's folder.

    Returns:
        None if tracking is off, or for a campaign in S3 that neither the setting nor the environment gives a server.
    """
    settings = campaign.config.tracking
    if not settings.enabled:
        return None
    if named := settings.uri or os.environ.get("MLFLOW_TRACKING_URI"):
        return named
    return f"sqlite:///{Path(campaign.store.uri) / 'mlflow.db'}" if _is_local(campaign) else None


def artifact_location(campaign: Campaign) -> str | None:
    """Return where a new experiment keeps its artifacts: beside a campaign's own sqlite; None is MLflow's choice."""
    uri = tracking_uri(campaign)
    own = _is_local(campaign) and uri == f"sqlite:///{Path(campaign.store.uri) / 'mlflow.db'}"
    return (Path(campaign.store.uri) / "mlflow-artifacts").as_uri() if own else None


def ui_command(campaign: Campaign) -> str | None:
    """Return how to look at MLflow: a command for a local database, the address of a server, or None."""
    uri = tracking_uri(campaign)
    if uri is None or uri.startswith(("http://", "https://")):
        return None if uri is None else f"open {without_credentials(uri)}"
    return f"mlflow ui --backend-store-uri {shlex.quote(without_credentials(uri))}"


def prepare_environment() -> None:
    """Bound MLflow's waiting, and keep it quiet; what the user has set stays. Call before the first mlflow import."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _is_local(campaign: Campaign) -> bool:
    return "://" not in campaign.store.uri
