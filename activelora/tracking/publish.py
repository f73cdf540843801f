"""What people look at, written anew from the manifests: the report, MLflow and Prometheus metrics.

A note beside the report says what they show, so that a task that finds them up to date writes none of them again. It is
no state of the campaign: without it, they are written once more.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.tracking.mlflow_location import tracking_uri, without_credentials

PUBLISHED_KEY = "published.json"


def publish(campaign: View) -> None:
    """Bring all of it up to date. MLflow or a push gateway being down is a warning: the next call catches up."""
    from activelora.tracking.mlflow_sync import sync
    from activelora.tracking.prometheus import report_metrics
    from activelora.tracking.report import write_report

    seen = snapshot_of(campaign)  # what others finish meanwhile is for the next call
    shown = state_shown(seen)
    write_report(seen)  # before MLflow, whose copy it is
    if not sync(seen):
        shown["mlflow"] = None
    seen.store.write(PUBLISHED_KEY, json.dumps(shown, indent=1).encode())
    report_metrics(seen)


def publish_if_changed(campaign: View) -> None:
    """Bring all of it up to date, unless the last call did that and nothing has changed since.

    A change is a finished step, the campaign's end, a deleted item, or another place in MLflow; and where MLflow could
    not be written, that is made up for. Metrics are sent in any case: a push gateway forgets them.
    """
    from activelora.tracking.prometheus import report_metrics

    seen = snapshot_of(campaign)
    if _last_shown(seen) == state_shown(seen):
        report_metrics(seen)
    else:
        publish(seen)


def state_shown(seen: Snapshot) -> dict[str, Any]:
    """Return what report and MLflow show once they are up to date, and where MLflow is."""
    state = [sorted(map(str, seen.done)), seen.stop_reason, sorted(seen.deleted)]
    settings, uri = seen.config.tracking, tracking_uri(seen.campaign)
    location = None if uri is None else [without_credentials(uri), settings.experiment, settings.registered_model]
    return {"state": hashlib.sha256(json.dumps(state).encode()).hexdigest(), "mlflow": location}


def _last_shown(seen: Snapshot) -> object:
    """Return what the last call noted; None where none did, or its note was damaged."""
    try:
        return json.loads(seen.store.read(PUBLISHED_KEY))
    except (KeyError, ValueError):
        return None
