"""Which MLflow a campaign writes to, and how to look at it."""

from __future__ import annotations

import json
import logging
import os
import shlex
from pathlib import Path

from activelora.campaign.campaign import Campaign
from activelora.redacting import without_credentials as without_credentials

PAGE_KEY = "mlflow-page.json"
"""Says where the campaign's run is in MLflow. It is no state: without it, the address is that of all experiments."""
LOCAL_UI = "http://127.0.0.1:5000"
"""Address that `mlflow ui` listens at, unless it gets another one."""
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
        return None if uri is None else f"open {ui_address(campaign)}"
    return f"mlflow ui --backend-store-uri {shlex.quote(without_credentials(uri))}"


def ui_address(campaign: Campaign) -> str | None:
    """Return the page with the campaign's curves, once it was written; of a local database, as `mlflow ui` serves it.

    Returns:
        None if tracking is off.
    """
    uri = tracking_uri(campaign)
    if uri is None:
        return None
    own, is_server = without_credentials(uri), uri.startswith(("http://", "https://"))
    server = own.rstrip("/") if is_server else LOCAL_UI
    try:
        page = json.loads(campaign.store.read(PAGE_KEY))
        path = f"#/experiments/{page['experiment_id']}/runs/{page['run_id']}/model-metrics"
        is_there = page["uri"] == own if is_server else page["uri"].startswith("sqlite:")  # its folder may move
    except (KeyError, ValueError, TypeError, AttributeError):  # nothing was written there yet, or the note is damaged
        return server
    return f"{server}/{path}" if is_there else server


def note_page(campaign: Campaign, experiment_id: str, run_id: str) -> None:
    """Note where the campaign's curves are in MLflow, unless it is noted already."""
    uri = without_credentials(tracking_uri(campaign) or "")
    content = json.dumps({"uri": uri, "experiment_id": experiment_id, "run_id": run_id}, indent=1).encode()
    try:
        if campaign.store.read(PAGE_KEY) == content:
            return
    except KeyError:
        pass
    campaign.store.write(PAGE_KEY, content)


def prepare_environment() -> None:
    """Bound MLflow's waiting, and keep it quiet; what the user has set stays. Call before the first mlflow import."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _is_local(campaign: Campaign) -> bool:
    return "://" not in campaign.store.uri
