"""A comparison as a table, for the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from activelora.comparison.words import p_text, signed
from activelora.evaluation.headline import Headline
from activelora.evaluation.headline_values import shown

Document = Mapping[str, Any]


def columns(document: Document) -> list[str]:
    """Return the heads of :func:`rows`."""
    headline = Headline(**document["headline"])
    secondary = [name.upper() for name in ("ece", "nll") if name in document["methods"][0]["summary"]]
    target = f"labels to {shown(headline, document['target'])}"
    measured = ["AULC", f"{headline.word} at {document['labels'][-1]}", *secondary, target, "time a run"]
    return ["method", *measured, "AULC − control", "p (Holm)", "verdict"]


def rows(document: Document, *, with_ranges: bool = True) -> list[list[str]]:
    """Return a row a method: mean (range over seeds), and the test against its control (with its interval)."""
    headline = Headline(**document["headline"])
    return [_row(method, headline, document["labels"][-1], with_ranges) for method in document["methods"]]


def markdown(document: Document, command: str = "") -> str:
    """Return the comparison as Markdown: what was run, the table, the curves, a sentence a method."""
    headline = Headline(**document["headline"])
    seeds = document["seeds"]
    lines = [f"# Comparison: {document['name']}", "", description(document), ""]
    lines += [_line(columns(document)), _line(["---"] * len(columns(document)))]
    lines += [_line(row) for row in rows(document)]
    lines += ["", *(f"- {text}" for text in sentences(document)), ""]
    lines += [f"{headline.word.capitalize()} by labels, mean and range over seeds {seeds}:", ""]
    lines += [_line(["method", *(str(count) for count in document["labels"])])]
    lines += [_line(["---"] * (1 + len(document["labels"])))]
    for method in document["methods"]:
        values = [[run["points"][index][headline.metric] for run in method["runs"]] for index, _ in labelled(document)]
        lines.append(_line([method["name"], *(_range_of(some) for some in values)]))
    if command:
        lines += ["", f"Command: `{command}`"]
    return "\n".join(lines) + "\n"


def sentences(document: Document) -> list[str]:
    """Return what can be said: of each method, then of calibration, then of what would have been missed."""
    methods = document["methods"]
    texts = [method["sentence"] for method in methods]
    texts += [method["calibration_sentence"] for method in methods if method["calibration_sentence"]]
    return [*texts, document["power_sentence"]]


def description(document: Document) -> str:
    """Return in a sentence what was compared and how."""
    labels, seeds = document["labels"], document["seeds"]
    tests = [method["tests"]["aulc"] for method in document["methods"] if method["tests"] is not None]
    word = Headline(**document["headline"]).word
    paired = "seeds and holdout items" if any(test["num_items"] > 1 for test in tests) else "seeds"
    return (
        f"{len(document['methods'])} methods × {len(seeds)} seed{'s' if len(seeds) > 1 else ''}, "
        f"{len(labels) - 1} rounds up to {labels[-1]} labels, {document['num_holdout']} holdout items, base model "
        f"{document['base_model']}. AULC is the mean {word} over the labels spent. "
        f"Intervals ({document['level']:.0%}) and p-values are of paired differences over {paired}; p-values are "
        "corrected for the number of methods (Holm)."
    )


def labelled(document: Document) -> list[tuple[int, int]]:
    """Return the rounds as (index, label count)."""
    return list(enumerate(document["labels"]))


def time_text(seconds: float) -> str:
    """Return a duration in the unit that fits."""
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def _row(method: Mapping[str, Any], headline: Headline, most: int, with_ranges: bool) -> list[str]:
    summary, tests = method["summary"], method["tests"]
    shown = [summary[name] for name in ("aulc", "final", "ece", "nll") if name in summary]
    cells = [method["name"], *(_spread(found, with_ranges) for found in shown)]
    cells += [_needed(summary["labels_to_target"], most, with_ranges), time_text(summary["seconds"]["mean"])]
    if tests is None:
        return [*cells, "–", "–", method["verdict"]]
    area = tests["aulc"]
    span = f" ({signed(area['low'], headline)} to {signed(area['high'], headline)})" if with_ranges else ""
    return [*cells, f"{signed(area['difference'], headline)}{span}", p_text(area["p_adjusted"]), method["verdict"]]


def _needed(found: Mapping[str, float | None], most: int, with_range: bool) -> str:
    mean, low, high = (
        f"> {most}" if found[key] is None else f"{found[key]:.0f}" for key in ("mean_curve", "low", "high")
    )
    return f"{mean} ({low} to {high})" if with_range and low != high else mean


def _spread(found: Mapping[str, float], with_range: bool) -> str:
    span = f" ({found['low']:.3f} to {found['high']:.3f})" if with_range else ""
    return f"{found['mean']:.3f}{span}"


def _range_of(values: list[float]) -> str:
    return f"{sum(values) / len(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
