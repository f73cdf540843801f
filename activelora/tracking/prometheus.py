"""Where a campaign stands, as Prometheus metrics: in a file for node_exporter, or pushed to a gateway.

All are gauges with the label ``campaign``. Campaigns are batch work that ends: nothing is left to scrape it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from activelora.campaign.history import evaluated, read_history
from activelora.campaign.ledger import next_plan, waits_for_people
from activelora.campaign.snapshot import View, snapshot_of
from activelora.errors import ActiveLoRAError
from activelora.kinds.registry import headline_of

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

logger = logging.getLogger(__name__)

PUSH_ATTEMPTS = 3
PUSH_TIMEOUT_SECONDS = 10.0
_HELP = {
    "activelora_round": "Round that is under way.",
    "activelora_labels": "Items labelled so far.",
    "activelora_label_budget": "Labels that may be asked for in all.",
    "activelora_accuracy": "Holdout accuracy of the last evaluated round, 0 to 1.",
    "activelora_primary": "Primary metric (evaluation.primary) of the last evaluated round, where one is set.",
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
    from prometheus_client import push_to_gateway, write_to_textfile

    registry, name = metrics_of(campaign), campaign.config.name
    if settings.prometheus_textfile is not None:
        path = Path(settings.prometheus_textfile).expanduser()
        try:
            write_to_textfile(str(path), registry)
            path.chmod(0o644)  # the collector is another user
        except OSError as error:
            logger.warning("tracking.prometheus_textfile could not be written: %s", error)
    if settings.pushgateway is not None:
        try:
            push_to_gateway(settings.pushgateway, "activelora", registry, {"campaign": name}, handler=_push)
        except ActiveLoRAError as error:
            logger.warning("tracking.pushgateway: metrics were not taken (%s)", error.problem)


def metrics_of(campaign: View) -> CollectorRegistry:
    """Return the metrics. What is not known yet is left out."""
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()
    for name, value in _values(campaign).items():
        Gauge(name, _HELP[name], ["campaign"], registry=registry).labels(campaign.config.name).set(value)
    return registry


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
        if campaign.config.evaluation.primary is not None:
            numbers["activelora_primary"] = found[headline_of(campaign.config).metric]
    since = 0.0
    if waits_for_people(seen, plan) and (asked := records[-1].selection):
        since = datetime.fromisoformat(asked.finished_at).timestamp()
    numbers["activelora_waiting_since_timestamp_seconds"] = since
    numbers["activelora_finished"] = int(seen.stop_reason is not None)
    return numbers


def _push(
    url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
) -> Callable[[], None]:
    """Return what sends the metrics, in the form that ``prometheus_client`` asks of a handler."""
    from activelora.http import HttpClient, Limits

    limits = Limits(PUSH_TIMEOUT_SECONDS, PUSH_TIMEOUT_SECONDS, total_seconds=timeout or PUSH_TIMEOUT_SECONDS)
    client = HttpClient(limits, num_tries=PUSH_ATTEMPTS, heeds_proxies=True)

    def send() -> None:
        status = client.request(method, url, headers=dict(headers), body=data, is_safe=True).status
        if not 200 <= status < 300:
            raise ActiveLoRAError(f"HTTP Error {status}")

    return send
