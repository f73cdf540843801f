"""Plots of a campaign, as matplotlib figures without pyplot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from activelora.evaluation.headline import ACCURACY, Headline
from activelora.tracking.figures import (
    BLUE,
    GREEN,
    GRID,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    in_percent,
    new_figure,
    styled,
    with_grid,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CURVE_STYLES = ((BLUE, "o", "-"), (ORANGE, "s", "--"), (GREEN, "^", "-."), (PURPLE, "D", ":"))
_MAX_COUNTED_CLASSES, _MAX_NAMED_CLASSES, _MAX_NAME = 16, 40, 18


@dataclass(frozen=True)
class CurvePoint:
    """One evaluated round on a learning curve.

    Attributes:
        num_labels: Labels that the adapter was trained on; 0 is zero-shot.
        metrics: Those of the headline (``accuracy``, ``ece``) and their ``_low`` and ``_high``.
    """

    num_labels: int
    metrics: Mapping[str, float]


@styled
def reliability_diagram(evaluation: Mapping[str, Any], title: str = "Reliability") -> Figure:
    """Draw confidence against accuracy per bin, the gap between them, and how many items have which confidence.

    Args:
        evaluation: ``evaluation.json``, or its ``scaled`` part.
        title: Above the diagram.
    """
    figure = new_figure(5.0, 5.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1.1])
    bins = [bin_ for bin_ in evaluation["reliability"] if bin_["count"]]
    total = sum(bin_["count"] for bin_ in bins)
    upper.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1.2, zorder=4, label="perfectly calibrated")
    for index, bin_ in enumerate(bins):
        left, width = bin_["low"], bin_["high"] - bin_["low"]
        accuracy, confidence = bin_["accuracy"], bin_["confidence"]
        first = index == 0
        upper.bar(left, accuracy, width * 0.94, align="edge", color=SKY, label="accuracy" if first else None)
        upper.bar(
            left,
            confidence - accuracy,
            width * 0.94,
            bottom=accuracy,
            align="edge",
            facecolor="none",
            edgecolor=VERMILLION,
            hatch="////",
            linewidth=0.8,
            label="gap to confidence" if first else None,
        )
        lower.bar(left, bin_["count"] / total, width * 0.94, align="edge", color=GRID)
    upper.set(ylim=(0, 1), xlim=(0, 1), ylabel="share of right answers", title=title)
    upper.set_title(_ece_text(evaluation), loc="right", weight="normal", fontsize=10)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    lower.set(xlabel="confidence (probability of the predicted label)", ylabel="share of\nitems")
    lower.set_ylim(0, max((bin_["count"] for bin_ in bins), default=1) / max(total, 1) * 1.1)
    in_percent(upper.yaxis, lower.xaxis, lower.yaxis)
    with_grid(upper)
    return figure


@styled
def learning_curve(
    curves: Mapping[str, Sequence[CurvePoint]],
    confidence_level: float,
    headline: Headline = ACCURACY,
    *,
    is_tall: bool = False,
) -> Figure:
    """Draw the headline metric and a second one over the number of labels, with interval bands.

    Args:
        curves: Name → points in the order of their labels; the first is the campaign, others are for comparison.
        confidence_level: Confidence level of the intervals, in (0, 1), for the legend.
        headline: Which metrics; accuracy and ECE, unless the task is judged by others.
        is_tall: One panel below the other, for narrow screens.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(4.2, 6.2) if is_tall else new_figure(8.4, 3.7)
    panels = figure.subplots(2, 1) if is_tall else figure.subplots(1, 2, width_ratios=[1.25, 1])
    for axes, (metric, title) in zip(panels, ((headline.metric, headline.title), headline.second), strict=True):
        for (name, points), (color, marker, line) in zip(curves.items(), _CURVE_STYLES, strict=False):
            _draw_curve(axes, points, metric, name, (color, marker, line))
        axes.set(xlabel="labels", title=title)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
        axes.margins(x=0.04)
        is_share = headline.is_share or metric != headline.metric
        axes.set_ylim(_floor(curves, metric), _ceiling(curves, metric, is_share))
        if is_share:
            in_percent(axes.yaxis)
        with_grid(axes)
    panels[0].set_ylabel(
        "share of the holdout"
        if headline.counts_items
        else "lower is better"
        if headline.lower_is_better
        else "higher is better"
    )
    panels[1].set_ylabel(headline.second_note)
    if len(curves) > 1:
        panels[0].legend(loc="upper right" if headline.lower_is_better else "lower right")
    figure.supxlabel(f"bands: {confidence_level:.0%} bootstrap intervals", fontsize=8.5, x=0.99, ha="right")
    return figure


@styled
def confusion_matrix(evaluation: Mapping[str, Any]) -> Figure:
    """Draw the confusion matrix: shade = share of the true label's items, number = items.

    Args:
        evaluation: ``evaluation.json`` of a task with fixed classes.
    """
    confusion, names = evaluation["confusion"], [_short(name) for name in evaluation["label_names"]]
    num_classes = len(names)
    shares = [[count / max(sum(row), 1) for count in row] for row in confusion]
    size = min(9.0, 2.6 + 0.42 * num_classes)
    figure = new_figure(size + 0.8, size)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if num_classes <= _MAX_COUNTED_CLASSES:
        for row, counts in enumerate(confusion):
            for column, count in enumerate(counts):
                color = "white" if shares[row][column] > 0.55 else "#10202f"
                weight = "bold" if row == column else "normal"
                if count:
                    axes.text(column, row, count, ha="center", va="center", color=color, weight=weight, fontsize=9)
    if num_classes <= _MAX_NAMED_CLASSES:
        axes.set_xticks(range(num_classes), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(num_classes), names)
    axes.set(xlabel="predicted label", ylabel="true label", title="Confusion matrix")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true label's items")
    bar.outline.set_visible(False)
    in_percent(bar.ax.yaxis)
    return figure


@styled
def risk_coverage(evaluation: Mapping[str, Any]) -> Figure:
    """Draw the share of wrong answers if only the most confident items are answered.

    Args:
        evaluation: ``evaluation.json``.
    """
    curve = evaluation["risk_coverage"]
    figure = new_figure(5.0, 3.7)
    axes = figure.subplots()
    axes.plot(curve["coverage"], curve["risk"], color=BLUE, linewidth=2)
    axes.fill_between(curve["coverage"], curve["risk"], color=BLUE, alpha=0.15, linewidth=0)
    axes.axhline(curve["risk"][-1], color=GRID, linestyle="--", linewidth=1.2)
    axes.text(0.01, curve["risk"][-1], " all items", va="bottom", ha="left", fontsize=9)
    axes.set(
        xlim=(0, 1),
        ylim=(0, min(1.0, max(0.05, *curve["risk"]) * 1.15)),
        xlabel="coverage: share of items answered, most confident first",
        ylabel="risk: share of wrong answers",
        title="Risk and coverage",
    )
    axes.set_title(f"AURC {evaluation['metrics']['aurc']:.3f}", loc="right", weight="normal", fontsize=10)
    in_percent(axes.xaxis, axes.yaxis)
    with_grid(axes)
    return figure


@styled
def predicted_against_true(evaluation: Mapping[str, Any]) -> Figure:
    """Draw predicted against true numbers, with their central intervals.

    Args:
        evaluation: ``evaluation.json`` of a regression.
    """
    points = evaluation["scatter"]
    figure = new_figure(5.0, 4.4)
    axes = figure.subplots()
    lowest = min(*points["true"], *points["low"])
    highest = max(*points["true"], *points["high"])
    axes.plot([lowest, highest], [lowest, highest], color=INK, linestyle="--", linewidth=1.2, label="exact")
    axes.vlines(points["true"], points["low"], points["high"], color=SKY, alpha=0.35, linewidth=1.2)
    axes.scatter(points["true"], points["predicted"], color=BLUE, s=14, zorder=3, label="prediction")
    axes.set(xlabel="true number", ylabel="predicted number", title="Predictions")
    axes.set_title(f"RMSE {evaluation['metrics']['rmse']:.3g}", loc="right", weight="normal", fontsize=10)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    with_grid(axes)
    return figure


@styled
def interval_coverage(evaluation: Mapping[str, Any]) -> Figure:
    """Draw which share of the true numbers lies in central intervals of each stated level.

    Args:
        evaluation: ``evaluation.json`` of a regression.
    """
    figure = new_figure(5.0, 3.7)
    axes = figure.subplots()
    levels = [point["level"] for point in evaluation["coverage"]]
    axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1.2, label="perfectly calibrated")
    axes.plot(levels, [point["covered"] for point in evaluation["coverage"]], color=BLUE, marker="o", label="measured")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="stated level", ylabel="share of true numbers inside")
    axes.set_title("Coverage of intervals")
    axes.legend(loc="lower right", fontsize=9)
    in_percent(axes.xaxis, axes.yaxis)
    with_grid(axes)
    return figure


def evaluation_figures(evaluation: Mapping[str, Any]) -> dict[str, Figure]:
    """Return what can be drawn of an evaluation, by name, whatever the task."""
    figures = {}
    if evaluation.get("scatter") is not None:
        figures["predictions"] = predicted_against_true(evaluation)
        figures["interval_coverage"] = interval_coverage(evaluation)
    if evaluation["reliability"] is not None:
        figures["reliability"] = reliability_diagram(evaluation)
    if evaluation["risk_coverage"] is not None:
        figures["risk_coverage"] = risk_coverage(evaluation)
    if evaluation["confusion"] is not None:
        figures["confusion_matrix"] = confusion_matrix(evaluation)
    return figures


def _draw_curve(axes: Axes, points: Sequence[CurvePoint], metric: str, name: str, style: tuple[str, str, str]) -> None:
    color, marker, line = style
    labels = [point.num_labels for point in points]
    values = [point.metrics[metric] for point in points]
    axes.plot(labels, values, color=color, marker=marker, linestyle=line, linewidth=2, markersize=5, label=name)
    if all(f"{metric}_low" in point.metrics for point in points):
        lows = [point.metrics[f"{metric}_low"] for point in points]
        highs = [point.metrics[f"{metric}_high"] for point in points]
        axes.fill_between(labels, lows, highs, color=color, alpha=0.16, linewidth=0)


def _floor(curves: Mapping[str, Sequence[CurvePoint]], metric: str) -> float:
    """Return 0, or less where a value is negative, as a correlation can be."""
    lowest = min(
        (point.metrics.get(f"{metric}_low", point.metrics[metric]) for points in curves.values() for point in points),
        default=0.0,
    )
    return min(0.0, 1.1 * lowest)


def _ceiling(curves: Mapping[str, Sequence[CurvePoint]], metric: str, is_share: bool) -> float:
    highest = max(
        (point.metrics.get(f"{metric}_high", point.metrics[metric]) for points in curves.values() for point in points),
        default=0.0,
    )
    if not is_share:
        return highest * 1.1 or 1.0
    return 1.02 if metric == "interval_coverage" else 1.0 if metric == "accuracy" else min(1.0, max(0.1, highest * 1.1))


def _ece_text(evaluation: Mapping[str, Any]) -> str:
    text = f"ECE {evaluation['metrics']['ece']:.3f}"
    if "ece" in evaluation.get("intervals", {}):
        low, high = evaluation["intervals"]["ece"]
        text += f"  [{low:.3f}, {high:.3f}]"
    return text


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"
