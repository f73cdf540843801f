"""Where a campaign stands, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from activelora.campaign.campaign import Campaign, stop_reason
from activelora.campaign.history import RoundRecord, evaluated, read_history
from activelora.campaign.ledger import next_plan
from activelora.campaign.manifest import Unit
from activelora.evaluation.forecast import forecast
from activelora.kinds.registry import headline_of


def standing(campaign: Campaign) -> dict[str, Any]:
    """Return name, place, status and rounds of a campaign, ready for JSON."""
    plan = next_plan(campaign)
    records = read_history(campaign)
    reason = stop_reason(campaign)
    waits = plan.status == "work" and plan.units[0].step == "await_labels"
    wait = wait_of(campaign, plan.round) if waits else None
    status = "finished" if reason or plan.status == "stop" else "waiting" if waits else "running"
    return {
        "name": campaign.config.name,
        "campaign": campaign.store.uri,
        "status": status,
        "reason": reason or plan.reason or (wait.text if wait else ""),
        "round": plan.round,
        "labels": wait.document if wait else None,
        "due": [str(unit) for unit in plan.units],
        "logs": _logs(campaign, plan.units) if status == "running" else [],
        "label_budget": campaign.config.label_budget,
        "forecast": forecast(campaign, headline_of(campaign.config.task)).document(),
        "rounds": [_round(campaign, record) for record in records],
        "live_check": done[-1].live_check if (done := evaluated(records)) else [],
    }


@dataclass(frozen=True)
class Wait:
    """What a campaign waits for.

    Attributes:
        text: For people: which labels, what a person has to do, who has answered, until when.
        document: The same for programs.
    """

    text: str
    document: dict[str, Any]


def wait_of(campaign: Campaign, round_: int) -> Wait:
    """Return what a round waits for. Looks into the label source, and changes nothing."""
    from activelora.labeling.registry import get_source
    from activelora.labeling.request import make_request
    from activelora.labeling.wait_status import describe_wait, wait_document

    request = make_request(campaign, round_)
    collected = get_source(campaign.config.labeling.source).collect(request)
    return Wait(describe_wait(request, collected), wait_document(request, collected))


def waiting_for(campaign: Campaign) -> str:
    """Say in words which labels a campaign waits for, and what a person has to do. Looks into the label source."""
    return wait_of(campaign, next_plan(campaign).round).text


def print_rounds(campaign: Campaign) -> None:
    """Print a table of the rounds."""
    from rich.table import Table

    from pipelines.cli.console import stdout

    shown = headline_of(campaign.config.task).columns
    columns = ("round", "labels", *(title for _, title in shown), "time", "state")
    table = Table(*columns, title=campaign.config.name, title_justify="left")
    for column in table.columns[:-1]:
        column.justify = "right"
    for one in standing(campaign)["rounds"]:
        numbers = (_number(one[name]) for name, _ in shown)
        table.add_row(str(one["round"]), str(one["num_labels"]), *numbers, _time(one["seconds"]), one["state"])
    stdout().print(table)


def _logs(campaign: Campaign, units: Sequence[Unit]) -> list[str]:
    """Return where the logs are of what was begun and is not done: also a killed task leaves one."""
    return [f"{campaign.store.uri}/{unit.log_key}" for unit in units if campaign.store.exists(unit.log_key)]


def _round(campaign: Campaign, record: RoundRecord) -> dict[str, Any]:
    return {
        "round": record.round,
        "num_labels": record.num_labels,
        **{name: record.metrics.get(name) for name, _ in headline_of(campaign.config.task).columns},
        "seconds": round(sum(manifest.metrics.get("seconds", 0.0) for manifest in record.manifests), 3),
        "state": _state(campaign, record),
    }


def _state(campaign: Campaign, record: RoundRecord) -> str:
    if record.labels is not None:
        num_corrected = int(record.labels.metrics.get("num_corrected", 0))
        corrected = f", {num_corrected} corrected" if num_corrected else ""
        return f"{int(record.labels.metrics['num_labeled'])} labels collected{corrected}"
    if record.selection is not None:
        return "waits for labels"
    if stop_reason(campaign) and record.evaluation is not None:
        return "last"
    return "under way"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
