"""What people look at, written anew from the manifests: the report, MLflow and Prometheus metrics.

A note beside the report says what they show, so that a task that finds them up to date writes none of them again. It is
no state of the campaign: without it, they are written once more.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from activelora.campaign.campaign import Campaign, stop_reason
from activelora.campaign.ledger import finished_units
from activelora.campaign.tombstones import deleted_items
from activelora.tracking.mlflow_location import tracking_uri, without_credentials

PUBLISHED_KEY = "published.json"


def publish(campaign: Campaign) -> None:
    """Bring all of it up to date. MLflow or a push gateway being down is a warning: the next call catches up."""
    from activelora.tracking.mlflow_sync import sync
    from activelora.tracking.prometheus import report_metrics
    from activelora.tracking.report import write_report

    shown = _shown(campaign)  # first: what others finish meanwhile is for the next call
    write_report(campaign)  # before MLflow, whose copy it is
    if not sync(campaign):
        shown["mlflow"] = None
    campaign.store.write(PUBLISHED_KEY, json.dumps(shown, indent=1).encode())
    report_metrics(campaign)


def publish_if_changed(campaign: Campaign) -> None:
    """Bring all of it up to date, unless the last call did that and nothing has changed since.

    A change is a finished step, the campaign's end, a deleted item, or another place in MLflow; and where MLflow could
    not be written, that is made up for. Metrics are sent in any case: a push gateway forgets them.
    """
    from activelora.tracking.prometheus import report_metrics

    if _last_shown(campaign) == _shown(campaign):
        report_metrics(campaign)
    else:
        publish(campaign)


def _shown(campaign: Campaign) -> dict[str, Any]:
    """Return what report and MLflow show once they are up to date, and where MLflow is."""
    state = [sorted(map(str, finished_units(campaign))), stop_reason(campaign), sorted(deleted_items(campaign.store))]
    settings, uri = campaign.config.tracking, tracking_uri(campaign)
    place = None if uri is None else [without_credentials(uri), settings.experiment, settings.registered_model]
    return {"state": hashlib.sha256(json.dumps(state).encode()).hexdigest(), "mlflow": place}


def _last_shown(campaign: Campaign) -> object:
    """Return what the last call noted; None where none did, or its note was damaged."""
    try:
        return json.loads(campaign.store.read(PUBLISHED_KEY))
    except (KeyError, ValueError):
        return None
