"""The status of a campaign, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from activelora.campaign.amendments import amendments_in_words
from activelora.campaign.campaign import Campaign
from activelora.campaign.history import RoundRecord, evaluated, num_known, read_history
from activelora.campaign.ledger import next_plan, waits_for_people
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.evaluation.forecast import forecast
from activelora.evaluation.prevalence import prevalence_document
from activelora.kinds.registry import headline_of, make_task
from activelora.pool.growth import growth_of
from activelora.quantities import quantity


def status_document(campaign: View) -> dict[str, Any]:
    """Return name, URI, status and rounds of a campaign, ready for JSON."""
    seen = snapshot_of(campaign)
    plan, records, reason = next_plan(seen), read_history(seen), seen.stop_reason
    waits = waits_for_people(seen, plan)
    wait = wait_of(seen, plan.round) if waits else None
    done, task = evaluated(records), make_task(seen.config.task)
    status = "finished" if reason or plan.status == "stop" else "waiting" if waits else "running"
    return {
        "name": campaign.config.name,
        "campaign": campaign.store.uri,
        "status": status,
        "reason": reason or plan.reason or (wait.text if wait else ""),
        "round": plan.round,
        "labels": wait.document if wait else None,
        "due": [str(unit) for unit in plan.units],
        "logs": _logs(seen, plan.units) if status == "running" else [],
        "label_budget": campaign.config.label_budget,
        "num_asked": sum(int(one.selection.metrics["num_selected"]) for one in records if one.selection),
        "num_known": num_known(records),
        "amendments": amendments_in_words(seen.amendments),
        "forecast": forecast(seen, headline_of(campaign.config)).document(),
        "rounds": [_round(seen, record) for record in records],
        "pool": growth_of(seen).document(),
        "drift": done[-1].drift if done else [],
        "live_check": done[-1].live_check if done else [],
        "prevalence": prevalence_document(seen, task.label_names if task.kind.one_answer else ()),
        "mlflow": mlflow_words(seen.campaign),
    }


def mlflow_words(campaign: Campaign) -> list[str]:
    """Return how to open MLflow on the campaign's curves: a command where it is a database, and the address."""
    from activelora.tracking.mlflow_location import ui_address, ui_command

    command, address = ui_command(campaign), ui_address(campaign)
    if command is None or address is None:
        return []
    return [address] if address in command else [command, f"then open {address}"]


@dataclass(frozen=True)
class Wait:
    """What a campaign waits for.

    Attributes:
        text: Sentences for people: which labels, what a person has to do, who has answered, until when.
        document: The same for programs.
    """

    text: str
    document: dict[str, Any]


def wait_of(campaign: View, round_: int) -> Wait:
    """Return what a round waits for. Looks into the label source, and changes nothing."""
    from activelora.labeling.wait_status import describe_wait, look, wait_document

    found = look(snapshot_of(campaign), round_)
    return Wait(describe_wait(found.request, found.collected), wait_document(found.request, found.collected))


def print_rounds(campaign: View, found: Mapping[str, Any]) -> None:
    """Print a table of the rounds.

    Args:
        campaign: The campaign.
        found: Document of :func:`status_document`.
    """
    from rich.table import Table

    from pipelines.cli.console import stdout

    shown = headline_of(campaign.config).columns
    columns = ("round", "labels", *(title for _, title in shown), "time", "state")
    table = Table(*columns, title=campaign.config.name, title_justify="left")
    for column in table.columns[:-1]:
        column.justify = "right"
    for one in found["rounds"]:
        numbers = (_number(one[name]) for name, _ in shown)
        table.add_row(str(one["round"]), str(one["num_labels"]), *numbers, _time(one["seconds"]), one["state"])
    stdout().print(table)


def _logs(seen: Snapshot, units: Sequence[Unit]) -> list[str]:
    """Return where the logs are of what was begun and is not done: also a killed task leaves one."""

    def is_there(unit: Unit) -> bool:
        return seen.store.exists(unit.log_key) if unit.step == "ingest_pool" else unit.log_key in seen.keys

    return [f"{seen.store.uri}/{unit.log_key}" for unit in units if is_there(unit)]


def _round(campaign: Snapshot, record: RoundRecord) -> dict[str, Any]:
    return {
        "round": record.round,
        "num_labels": record.num_labels,
        **{name: record.metrics.get(name) for name, _ in headline_of(campaign.config).columns},
        "seconds": round(record.seconds, 3),
        "state": _state(campaign, record),
    }


def _state(campaign: Snapshot, record: RoundRecord) -> str:
    known = int(record.labels.metrics.get("num_known", 0)) if record.labels else 0
    if known and record.round == 0:
        return f"{quantity(known, 'label was', 'labels were')} known before"
    if record.labels is not None:
        num_corrected = int(record.labels.metrics.get("num_corrected", 0))
        corrected = f", {num_corrected} corrected" if num_corrected else ""
        brought = f", {known} came with the pool" if known else ""
        num_collected = int(record.labels.metrics["num_labeled"]) - known
        return f"{quantity(num_collected, 'label')} collected{corrected}{brought}"
    if record.selection is not None and "num_known" not in record.selection.details:
        return "waits for labels"
    if campaign.stop_reason and record.evaluation is not None:
        return "last"
    return "under way"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
