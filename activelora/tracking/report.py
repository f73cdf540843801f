"""``report.html``: one self-contained page that a manager can read, at any moment of a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

from activelora.campaign.history import RoundRecord, area_under_learning_curve, evaluated, num_known, read_history
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.evaluation.forecast import forecast
from activelora.evaluation.gates import champion
from activelora.evaluation.prevalence import prevalence_document
from activelora.kinds.registry import headline_of, make_task
from activelora.pool.growth import growth_of
from activelora.tracking import report_verdict as verdict
from activelora.tracking import report_words as words
from activelora.tracking.annotators import annotators_of
from activelora.tracking.plots import CurvePoint
from activelora.tracking.report_classes import classes_of
from activelora.tracking.report_costs import costs_of
from activelora.tracking.report_mistakes import confident_mistakes
from activelora.tracking.report_provenance import provenance_of, source_files_of
from activelora.tracking.report_selections import MAX_ITEMS, selections_of
from activelora.tracking.report_state import state_of

REPORT_KEY = "report.html"
MAX_CURVE_ROUNDS = 30


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
    seen = snapshot_of(campaign)
    view = _Report(seen, read_history(seen)).view(comparisons)
    template = _part("report.html").replace("STYLE", _part("report.css"))
    return environment.from_string(template).render(view)


def _part(name: str) -> str:
    return resources.files("activelora.tracking").joinpath(name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class _Report:
    campaign: Snapshot
    records: list[RoundRecord]

    @cached_property
    def champion_round(self) -> int | None:
        best = champion(self.campaign)
        return None if best is None else best.round

    @cached_property
    def headline(self) -> RoundRecord | None:
        """The round that the page speaks of: the champion's, else the last one evaluated."""
        done = evaluated(self.records)
        chosen = [record for record in done if record.round == self.champion_round] or done[-1:]
        return chosen[0] if chosen else None

    @cached_property
    def evaluation(self) -> dict[str, Any] | None:
        if self.headline is None or self.headline.evaluation is None:
            return None
        document: dict[str, Any] = self.campaign.json(self.headline.evaluation, "evaluation.json")
        return document

    def view(self, comparisons: Mapping[str, View]) -> dict[str, Any]:
        """Return everything that the template shows."""
        config, done, headline = self.campaign.config, evaluated(self.records), self.headline
        task, judged_by = make_task(config.task), headline_of(config)
        answers = task.label_names if task.kind.one_answer else ()
        known = num_known(self.records)
        zero_shot = done[0] if done and done[0].round == 0 else None
        has_champion = self.champion_round is not None
        gain = verdict.gain_over(self.campaign, zero_shot, headline)
        return {
            "config": config,
            "ingest": self.campaign.manifest(Unit("ingest_pool")),
            "budget": config.label_budget,
            "spent": sum(int(r.labels.metrics["num_labeled"]) for r in self.records if r.labels) - known,
            "num_known": known,
            "label_names": task.label_names if task.kind.lists_labels else (),
            "shows_macro_f1": task.kind.lists_labels and bool(task.label_names) and judged_by.metric != "macro_f1",
            "state": state_of(self.campaign, self.records, has_champion=has_champion),
            "as_of": max((record.finished_at for record in self.records), default=None),
            "headline": headline,
            "zero_shot": zero_shot,
            "summary": verdict.summary(headline, zero_shot, config.evaluation.confidence_level, judged_by, gain),
            "losses": verdict.losses(self.records, judged_by),
            "usability": verdict.usability(headline, has_champion, config),
            "calibration": words.calibration(self.evaluation) if self.evaluation else None,
            "training": self._training(),
            "coverage": words.coverage(self.evaluation) if self.evaluation else None,
            "task": task,
            "judged_by": judged_by,
            "show": words.percent if judged_by.is_share else words.significant,
            "evaluation": self.evaluation,
            "alone": words.alone(self.evaluation) if self.evaluation else None,
            "classes": self._classes(),
            "mistakes": self._mistakes(),
            "rounds": self._shown_rounds(),
            "num_rounds_hidden": max(0, len(self.records) - MAX_CURVE_ROUNDS),
            "forecast": words.forecast(forecast(self.campaign, judged_by)),
            "aulc": area_under_learning_curve(self.records, judged_by.metric),
            "chosen_among": sum(record.round > 0 for record in done) if self.champion_round else 0,
            "live_check": done[-1].live_check if done else [],
            "prevalence": prevalence_document(self.campaign, answers)["sentences"],
            "growth": growth_of(self.campaign),
            "drift": done[-1].drift if done else [],
            "plots": self._plots(comparisons),
            "annotators": annotators_of(self.campaign, self.records),
            "costs": costs_of(config, self.records),
            "selections": selections_of(self.campaign, self.records),
            "max_items": MAX_ITEMS,
            "provenance": provenance_of(self.campaign, self.records, headline),
            "sources": source_files_of(self.campaign),
        }

    def _training(self) -> str | None:
        if self.headline is None or self.headline.training is None:
            return None
        kind = make_task(self.campaign.config.task).kind
        per = "label" if kind.compares_answers else "answer token"
        longer = f"training.{'min' if self.campaign.config.training.converged_loss is None else 'max'}_steps"
        return words.training(self.headline.training.metrics, is_single=kind.one_softmax, per=per, longer=longer)

    def _classes(self) -> dict[str, Any] | None:
        num_rounds = 0 if self.headline is None else self.headline.round
        return classes_of(self.campaign, self.evaluation, num_rounds, self.records)

    def _mistakes(self) -> dict[str, Any] | None:
        evaluation = None if self.headline is None else self.headline.evaluation
        if evaluation is None or verdict.PREDICTIONS not in evaluation.files:
            return None
        return confident_mistakes(self.campaign, self.campaign.table(evaluation, verdict.PREDICTIONS))

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
            headline = headline_of(self.campaign.config)
            figures["learning_curve"] = plots.learning_curve(curves, level, headline)
            figures["learning_curve_tall"] = plots.learning_curve(curves, level, headline, is_tall=True)
        # matplotlib escapes the label names in its SVG.
        return {name: Markup(to_svg(figure)) for name, figure in figures.items()}  # noqa: S704


def _curve(records: list[RoundRecord]) -> list[CurvePoint]:
    return [CurvePoint(record.num_labels, record.metrics) for record in evaluated(records)]
