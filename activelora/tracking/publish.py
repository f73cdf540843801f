"""What people look at, written anew from the manifests: the report, MLflow and Prometheus metrics.

A note beside the report says what they show, so that a task that finds them up to date writes none of them again. It is
no state of the campaign: without it, they are written once more. While they are written it says so.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from activelora.campaign.history import note_scored
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.tracking.mlflow_location import tracking_uri, without_credentials

PUBLISHED_KEY = "published.json"
MAX_TRIES = 3
"""How often one call writes a campaign that others move on meanwhile; then it is left to the next call."""


def publish(campaign: View) -> None:
    """Bring all of it up to date. MLflow or a push gateway being down is a warning: the next call catches up.

    Several may do this at once. Whoever has written an older state than there is by then writes anew, so that the last
    one to write leaves the newest; and a note of one that was killed halfway says that nothing is up to date.
    """
    from activelora.tracking.prometheus import report_metrics

    seen = snapshot_of(campaign)
    for tried in range(MAX_TRIES):
        if _write(seen, again=tried > 0):
            now = Snapshot(seen.campaign)
            if _state(now) == _state(seen):
                break
            seen = now
        else:
            seen = Snapshot(seen.campaign)
    else:
        seen.store.delete(PUBLISHED_KEY)
    note_scored(seen)
    report_metrics(seen)


def rewrite_report(campaign: View) -> str:
    """Write the report alone, of the newest state as well, and return its URI."""
    from activelora.tracking.mlflow_moved import follow_move
    from activelora.tracking.report import write_report

    seen = snapshot_of(campaign)
    follow_move(seen.campaign)
    for _ in range(MAX_TRIES):
        uri = write_report(seen)
        now = Snapshot(seen.campaign)
        if _state(now) == _state(seen):
            break
        seen = now
    return uri


def publish_if_changed(campaign: View) -> None:
    """Bring all of it up to date, unless the last call did that and nothing has changed since.

    A change is a finished step, the campaign's end, a deleted item, or another place in MLflow; and where MLflow could
    not be written, that is made up for. Metrics are sent in any case: a push gateway forgets them.
    """
    from activelora.tracking.prometheus import report_metrics

    seen = snapshot_of(campaign)
    if _last_noted(seen) == state_shown(seen):
        report_metrics(seen)
    else:
        publish(seen)


def state_shown(seen: Snapshot) -> dict[str, Any]:
    """Return what report and MLflow show once they are up to date, and where MLflow is."""
    settings, uri = seen.config.tracking, tracking_uri(seen.campaign)
    location = None if uri is None else [without_credentials(uri), settings.experiment, settings.registered_model]
    return {"state": _state(seen), "mlflow": location}


def _write(seen: Snapshot, *, again: bool) -> bool:
    """Write report, MLflow and the note that they are written.

    Args:
        seen: The state to show.
        again: True where MLflow may hold what another one wrote meanwhile.

    Returns:
        False where another one has written another state meanwhile: the report may be either's.
    """
    from activelora.tracking.mlflow_sync import sync
    from activelora.tracking.report import REPORT_KEY, render_report

    shown = state_shown(seen)
    page = render_report(seen, {}).encode()
    _note(seen, {"writing": shown["state"]})
    seen.store.write(REPORT_KEY, page)  # before MLflow, whose copy it is
    if not sync(seen, again=again):
        shown["mlflow"] = None
    found = _last_noted(seen)
    if shown["state"] not in (found.get("writing"), found.get("state")):
        return False
    _note(seen, shown)
    return True


def _state(seen: Snapshot) -> str:
    """Return a digest of everything that report and MLflow derive from."""
    state: list[object] = [sorted(map(str, seen.done)), seen.stop_reason, sorted(seen.deleted)]
    state += [len(seen.amendments)] if seen.amendments else []
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _note(seen: Snapshot, content: dict[str, Any]) -> None:
    seen.store.write(PUBLISHED_KEY, json.dumps(content, indent=1).encode())


def _last_noted(seen: Snapshot) -> dict[str, Any]:
    """Return the newest note; nothing where there is none, or it was damaged."""
    try:
        found = json.loads(seen.store.read(PUBLISHED_KEY))
    except (KeyError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
