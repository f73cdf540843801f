"""``report.html``: one self-contained page that a manager can read, at any moment of a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

from activelora.campaign.amendments import amendments_in_words
from activelora.campaign.history import RoundRecord, area_under_learning_curve, evaluated, num_known, read_history
from activelora.campaign.labels import label_records, resolve_for
from activelora.campaign.ledger import next_plan, waits_for_people
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import Label
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.config.file import config_digest
from activelora.evaluation.forecast import forecast
from activelora.evaluation.gates import champion
from activelora.kinds.registry import headline_of, make_task
from activelora.pool.growth import growth_of
from activelora.tracking import report_words as words
from activelora.tracking.annotators import annotators_of
from activelora.tracking.plots import CurvePoint

REPORT_KEY = "report.html"
MAX_CURVE_ROUNDS, MAX_SELECTED_ROUNDS, MAX_ITEMS, MAX_CLASSES, MAX_TEXT = 30, 8, 6, 30, 260


def write_report(campaign: View, comparisons: Mapping[str, View] | None = None) -> str:
    """Write the campaign's report, replacing an older one, and return its URI.

    Args:
        campaign: A campaign at any moment, also before its first step.
        comparisons: Other campaigns to draw into the learning curve, by name, for example random acquisition.
    """
    page = render_report(campaign, comparisons or {})
    campaign.store.write(REPORT_KEY, page.encode())
    return f"{campaign.store.uri}/{REPORT_KEY}"


def render_report(campaign: View, comparisons: Mapping[str, View]) -> str:
    """Return the page. The same manifests give the same page."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": words.percent, "number": words.number, "duration": words.duration}
    template = resources.files("activelora.tracking").joinpath("report.html").read_text(encoding="utf-8")
    seen = snapshot_of(campaign)
    return environment.from_string(template).render(_Report(seen, read_history(seen)).view(comparisons))


@dataclass(frozen=True)
class _Report:
    campaign: Snapshot
    records: list[RoundRecord]

    @cached_property
    def headline(self) -> RoundRecord | None:
        """The round that the page speaks of: the champion's, else the last one evaluated."""
        best = champion(self.campaign)
        done = evaluated(self.records)
        chosen = [record for record in done if best is not None and record.round == best.round] or done[-1:]
        return chosen[0] if chosen else None

    @cached_property
    def evaluation(self) -> dict[str, Any] | None:
        if self.headline is None or self.headline.evaluation is None:
            return None
        document: dict[str, Any] = self.campaign.json(self.headline.evaluation, "evaluation.json")
        return document

    def view(self, comparisons: Mapping[str, View]) -> dict[str, Any]:
        """Return everything that the template shows."""
        config, done = self.campaign.config, evaluated(self.records)
        task, judged_by = make_task(config.task), headline_of(config.task)
        known = num_known(self.records)
        zero_shot = done[0] if done and done[0].round == 0 else None
        return {
            "config": config,
            "ingest": self.campaign.manifest(Unit("ingest_pool")),
            "budget": config.label_budget,
            "spent": sum(int(r.labels.metrics["num_labeled"]) for r in self.records if r.labels) - known,
            "num_known": known,
            "label_names": task.label_names if task.kind.lists_labels else (),
            "state": self._state(),
            "as_of": max((record.finished_at for record in self.records), default=None),
            "headline": self.headline,
            "zero_shot": zero_shot,
            "summary": words.summary(self.headline, zero_shot, config.evaluation.confidence_level, judged_by),
            "calibration": words.calibration(self.evaluation) if self.evaluation else None,
            "coverage": words.coverage(self.evaluation) if self.evaluation else None,
            "task": task,
            "judged_by": judged_by,
            "show": words.percent if judged_by.is_share else words.significant,
            "evaluation": self.evaluation,
            "classes": self._classes(),
            "rounds": self._shown_rounds(),
            "num_rounds_hidden": max(0, len(self.records) - MAX_CURVE_ROUNDS),
            "forecast": words.forecast(forecast(self.campaign, judged_by)),
            "aulc": area_under_learning_curve(self.records, judged_by.metric),
            "live_check": done[-1].live_check if done else [],
            "growth": growth_of(self.campaign),
            "drift": done[-1].drift if done else [],
            "plots": self._plots(comparisons),
            "annotators": annotators_of(self.campaign, self.records),
            "selections": self._selections(),
            "max_items": MAX_ITEMS,
            "provenance": self._provenance(),
        }

    def _state(self) -> dict[str, str]:
        if reason := self.campaign.stop_reason:
            return {"kind": "finished", "name": "Finished", "text": f"The campaign ended: {reason}."}
        plan = next_plan(self.campaign)
        if plan.status == "stop":
            return {"kind": "finished", "name": "Finished", "text": f"The campaign is about to end: {plan.reason}."}
        if waits_for_people(self.campaign, plan):
            wanted = int(self.campaign.require(Unit("select_batch", plan.round)).metrics["num_selected"])
            text = f"It waits for people: {wanted} items of round {plan.round} are to be labelled."
            return {"kind": "waiting", "name": "Waiting for labels", "text": text}
        text = f"Next step: {', '.join(str(unit) for unit in plan.units[:3])}."
        return {"kind": "running", "name": "In progress", "text": text}

    def _classes(self) -> dict[str, Any] | None:
        if self.evaluation is None or not self.evaluation["per_class"]:
            return None
        rows = self.evaluation["per_class"]
        if len(rows) > MAX_CLASSES:
            worst_first = sorted(rows, key=lambda row: (row["accuracy"] is None, row["accuracy"]))
            return {"rows": worst_first[:MAX_CLASSES], "num_hidden": len(rows) - MAX_CLASSES}
        return {"rows": rows, "num_hidden": 0}

    def _shown_rounds(self) -> list[dict[str, Any]]:
        shown = self.records
        if len(shown) > MAX_CURVE_ROUNDS:
            shown = [shown[0], *shown[-(MAX_CURVE_ROUNDS - 1) :]]
        return [
            {
                "record": record,
                "metrics": record.metrics,
                "seconds": record.seconds,
                "gates": record.evaluation.details["gates"] if record.evaluation else None,
                "is_headline": self.headline is not None and record.round == self.headline.round,
            }
            for record in shown
        ]

    def _plots(self, comparisons: Mapping[str, View]) -> dict[str, Any]:
        from markupsafe import Markup

        from activelora.tracking import plots
        from activelora.tracking.figures import to_svg

        if self.evaluation is None:
            return {}
        own = _curve(self.records)
        curves = {self.campaign.config.acquisition.strategy: own}
        curves |= {name: _curve(read_history(other)) for name, other in comparisons.items()}
        figures = plots.evaluation_figures(self.evaluation)
        if len(own) > 1:
            level = self.campaign.config.evaluation.confidence_level
            figures["learning_curve"] = plots.learning_curve(curves, level, headline_of(self.campaign.config.task))
        # matplotlib escapes the label names in its SVG.
        return {name: Markup(to_svg(figure)) for name, figure in figures.items()}  # noqa: S704

    def _selections(self) -> dict[str, Any]:
        selected = ((record, record.selection) for record in self.records)
        rounds = [(record, one) for record, one in selected if one is not None and "num_known" not in one.details]
        shown = rounds[-MAX_SELECTED_ROUNDS:]
        given = label_records(self.campaign, sum(record.labels is not None for record in self.records))
        return {
            "rounds": [self._selection(record, selection, given) for record, selection in reversed(shown)],
            "num_hidden": len(rounds) - len(shown),
        }

    def _selection(
        self, record: RoundRecord, selection: Manifest, records: list[list[dict[str, Any]]]
    ) -> dict[str, Any]:
        from activelora.pool import access

        rows = self.campaign.table(selection, "selection.parquet").to_pylist()
        given = self._given_labels(records[: record.round + 1]) if record.labels is not None else {}
        items = access.find_items(self.campaign, [row["item_id"] for row in rows[:MAX_ITEMS]])
        task = make_task(self.campaign.config.task)
        shown = []
        for row in rows[:MAX_ITEMS]:
            item, label = items[row["item_id"]], given.get(row["item_id"])
            shown.append(
                {
                    "text": words.cut(" · ".join(item.fields.values()), MAX_TEXT),
                    "reason": row["reason"],
                    "label": None if label is None else words.cut(task.label_name(label, item), 60),
                }
            )
        return {"record": record, "rows": shown, "num_selected": len(rows), "num_labeled": len(given)}

    def _given_labels(self, records: list[list[dict[str, Any]]]) -> dict[str, Label]:
        """Return the labels that the last of some rounds brought."""
        labels = resolve_for(self.campaign.config.labeling, records).labels
        return {record["item_id"]: labels[record["item_id"]] for record in records[-1]}

    def _provenance(self) -> list[tuple[str, str]]:
        config, store = self.campaign.config, self.campaign.store
        versions = sorted({version for record in self.records for version in record.code_versions})
        rows = [
            ("Campaign folder", store.uri),
            ("Configuration digest", config_digest(config)),
            ("Base model", config.model.base + (f" @ {config.model.revision}" if config.model.revision else "")),
            *(("Amendment", words) for words in amendments_in_words(self.campaign.amendments)),
            ("Seed", str(config.seed)),
            ("ActiveLoRA version", ", ".join(versions) or "no step has run yet"),
        ]
        if self.headline and self.headline.training:
            for name, adapter in sorted(self.headline.training.files.items()):
                if name.endswith("/adapter_model.safetensors"):
                    member = name.removeprefix("adapter").removesuffix("adapter_model.safetensors").strip("/")
                    called = f"Adapter of round {self.headline.round}{f', {member}' if member else ''}"
                    rows.append((called, f"{store.uri}/{adapter.key}"))
                    rows.append((f"Adapter sha256{f', {member}' if member else ''}", adapter.sha256))
        return rows


def _curve(records: list[RoundRecord]) -> list[CurvePoint]:
    return [CurvePoint(record.num_labels, record.metrics) for record in evaluated(records)]
