"""Plots of a campaign, as matplotlib figures without pyplot, and as PNG or SVG.

Colours are Okabe and Ito's, which colour-blind people can tell apart; ink is one colour, so that an SVG can follow the
page's own (see :func:`to_svg`). Equal inputs give equal bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1b2430"
GRID = "#8a94a6"
SKY, BLUE, ORANGE, VERMILLION, GREEN, PURPLE = "#56B4E9", "#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7"
_CURVE_STYLES = ((BLUE, "o", "-"), (ORANGE, "s", "--"), (GREEN, "^", "-."), (PURPLE, "D", ":"))
_MAX_COUNTED_CLASSES, _MAX_NAMED_CLASSES, _MAX_NAME = 16, 40, 18
_STYLE: dict[Any, Any] = {
    "font.size": 10.0,
    "font.family": "DejaVu Sans",
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "activelora",
}


@dataclass(frozen=True)
class CurvePoint:
    """One evaluated round on a learning curve.

    Attributes:
        num_labels: Labels that the adapter was trained on; 0 is zero-shot.
        metrics: ``accuracy``, ``ece`` and their ``_low`` and ``_high``.
    """

    num_labels: int
    metrics: Mapping[str, float]


Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw under this module's style without touching the caller's."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        from matplotlib import rc_context

        with rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


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
def learning_curve(curves: Mapping[str, Sequence[CurvePoint]], confidence_level: float) -> Figure:
    """Draw accuracy and ECE over the number of labels, with interval bands.

    Args:
        curves: Name → points in the order of their labels; the first is the campaign, others are for comparison.
        confidence_level: Of the intervals, for the legend.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(8.4, 3.7)
    panels = figure.subplots(1, 2, width_ratios=[1.25, 1])
    for axes, metric, title in zip(panels, ("accuracy", "ece"), ("Accuracy", "Calibration error (ECE)"), strict=True):
        for (name, points), (color, marker, line) in zip(curves.items(), _CURVE_STYLES, strict=False):
            _draw_curve(axes, points, metric, name, (color, marker, line))
        axes.set(xlabel="labels", title=title)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
        axes.margins(x=0.04)
        axes.set_ylim(0, _ceiling(curves, metric))
        in_percent(axes.yaxis)
        with_grid(axes)
    panels[0].set_ylabel("share of the holdout")
    panels[1].set_ylabel("lower is better")
    if len(curves) > 1:
        panels[0].legend(loc="lower right")
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


def to_png(figure: Figure, dpi: int = 144) -> bytes:
    """Return the figure as PNG on white, the same bytes for the same figure."""
    return _saved(figure, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})


def to_svg(figure: Figure) -> str:
    """Return the figure as an ``<svg>`` element to put into a page: transparent, in the page's colours."""
    text = _saved(figure, format="svg", transparent=True, metadata={"Date": None, "Creator": None}).decode()
    text = text[text.index("<svg") :].replace("'DejaVu Sans'", "system-ui, sans-serif")
    return text.replace(INK, "currentColor").replace(BLUE.lower(), f"var(--accent, {BLUE})")


def _saved(figure: Figure, **options: Any) -> bytes:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        # Label names in scripts that DejaVu lacks are measured as boxes; in an SVG the browser draws them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(buffer, **options)
    return buffer.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _draw_curve(axes: Axes, points: Sequence[CurvePoint], metric: str, name: str, style: tuple[str, str, str]) -> None:
    color, marker, line = style
    labels = [point.num_labels for point in points]
    values = [point.metrics[metric] for point in points]
    axes.plot(labels, values, color=color, marker=marker, linestyle=line, linewidth=2, markersize=5, label=name)
    if all(f"{metric}_low" in point.metrics for point in points):
        lows = [point.metrics[f"{metric}_low"] for point in points]
        highs = [point.metrics[f"{metric}_high"] for point in points]
        axes.fill_between(labels, lows, highs, color=color, alpha=0.16, linewidth=0)


def _ceiling(curves: Mapping[str, Sequence[CurvePoint]], metric: str) -> float:
    highest = max(
        (point.metrics.get(f"{metric}_high", point.metrics[metric]) for points in curves.values() for point in points),
        default=0.0,
    )
    return 1.0 if metric == "accuracy" else min(1.0, max(0.1, highest * 1.1))


def _ece_text(evaluation: Mapping[str, Any]) -> str:
    text = f"ECE {evaluation['metrics']['ece']:.3f}"
    if "ece" in evaluation.get("intervals", {}):
        low, high = evaluation["intervals"]["ece"]
        text += f"  [{low:.3f}, {high:.3f}]"
    return text


def in_percent(*sides: Any) -> None:
    """Write the numbers of axes as percentages."""
    from matplotlib.ticker import FuncFormatter

    for side in sides:
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))


def with_grid(axes: Axes) -> None:
    """Draw a faint grid behind the data."""
    axes.grid(color=GRID, alpha=0.25, linewidth=0.8)
    axes.set_axisbelow(True)


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"
