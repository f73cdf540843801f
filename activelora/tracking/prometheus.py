"""Where a campaign stands, as Prometheus metrics: in a file for node_exporter, or pushed to a gateway.

All are gauges with the label ``campaign``. Campaigns are batch work that ends: nothing is left to scrape it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from activelora.campaign.history import evaluated, read_history
from activelora.campaign.ledger import next_plan
from activelora.campaign.snapshot import View, snapshot_of
from activelora.log_lines import without_secrets

logger = logging.getLogger(__name__)

PUSH_ATTEMPTS = 3
PUSH_TIMEOUT_SECONDS = 10.0
_HELP = {
    "activelora_round": "Round that is under way.",
    "activelora_labels": "Items labelled so far.",
    "activelora_label_budget": "Labels that may be asked for in all.",
    "activelora_accuracy": "Holdout accuracy of the last evaluated round, 0 to 1.",
    "activelora_ece": "Expected calibration error of the last evaluated round, 0 to 1.",
    "activelora_rmse": "Root mean squared error on the holdout of the last evaluated round, in the target's unit.",
    "activelora_waiting_since_timestamp_seconds": "Unix time since which labels are waited for; 0 while none are.",
    "activelora_finished": "1 when the campaign has ended.",
}


def report_metrics(campaign: View) -> None:
    """Write the metrics where `tracking.prometheus_textfile` and `tracking.pushgateway` say; a failure is a warning."""
    settings = campaign.config.tracking
    if settings.prometheus_textfile is None and settings.pushgateway is None:
        return
    text = metrics_text(campaign)
    if settings.prometheus_textfile is not None:
        try:
            _replace(Path(settings.prometheus_textfile).expanduser(), text)
        except OSError as error:
            logger.warning("tracking.prometheus_textfile could not be written: %s", error)
    if settings.pushgateway is not None:
        _push(f"{settings.pushgateway.rstrip('/')}/metrics/job/activelora/campaign/{campaign.config.name}", text)


def metrics_text(campaign: View) -> str:
    """Return the metrics in Prometheus' text format. What is not known yet is left out."""
    lines = []
    for name, value in _values(campaign).items():
        lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge"]
        lines.append(f'{name}{{campaign="{campaign.config.name}"}} {value!r}')
    return "\n".join(lines) + "\n"


def _values(campaign: View) -> dict[str, float]:
    seen = snapshot_of(campaign)
    records, plan = read_history(seen), next_plan(seen)
    labels = [record.labels for record in records if record.labels]
    values = {
        "activelora_round": plan.round,
        "activelora_labels": int(sum(manifest.metrics["num_labeled"] for manifest in labels)),
        "activelora_label_budget": campaign.config.label_budget,
    }
    numbers: dict[str, float] = dict(values)
    if done := evaluated(records):
        found = done[-1].metrics  # which there are depends on the kind of task
        numbers |= {f"activelora_{name}": found[name] for name in ("accuracy", "ece", "rmse") if name in found}
    since = 0.0
    if plan.status == "work" and plan.units[0].step == "await_labels" and (asked := records[-1].selection):
        since = datetime.fromisoformat(asked.finished_at).timestamp()
    numbers["activelora_waiting_since_timestamp_seconds"] = since
    numbers["activelora_finished"] = int(seen.stop_reason is not None)
    return numbers


def _replace(path: Path, text: str) -> None:
    """Write a file so that a collector never reads half of it. It ignores names that do not end in ``.prom``."""
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(partial).chmod(0o644)  # mkstemp's is the writer's alone, and the collector is another user
        Path(partial).replace(path)
    except OSError:
        with suppress(OSError):
            Path(partial).unlink()
        raise


def _push(address: str, text: str) -> None:
    request = urllib.request.Request(address, text.encode(), {"Content-Type": "text/plain"}, method="PUT")  # noqa: S310 - the settings allow http and https only
    for attempt in range(1, PUSH_ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=PUSH_TIMEOUT_SECONDS):  # noqa: S310
                return
        except (urllib.error.URLError, OSError) as error:
            final = attempt == PUSH_ATTEMPTS or (isinstance(error, urllib.error.HTTPError) and error.code < 500)
            if final:
                logger.warning("tracking.pushgateway: metrics were not taken (%s)", without_secrets(str(error)))
                return
            time.sleep(0.5 * attempt)
