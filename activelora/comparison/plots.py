"""Plots of a comparison: curves with their range over seeds, and differences to the control with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from activelora.evaluation.headline import Headline
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

Document = Mapping[str, Any]
_COLORS = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION, SKY)
_LINES = (("-", "o"), ("--", "s"), ("-.", "^"), (":", "D"))
_MAX_BANDS = 4
_TITLES = {"ece": "Calibration error (ECE)", "nll": "NLL (nats)"}


@styled
def curves(document: Document) -> Figure:
    """Draw the headline metric and the calibration metrics over labels: mean over seeds, and the range as a band.

    Args:
        document: The comparison.
    """
    from matplotlib.ticker import MaxNLocator

    headline = Headline(**document["headline"])
    names = [headline.metric, *(name for name in _TITLES if name in document["methods"][0]["summary"])]
    figure = new_figure(4.9 * len(names), 4.6)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        for index, method in enumerate(document["methods"]):
            _draw(axes, document, method, name, index)
        axes.set(xlabel="labels", title=_TITLES.get(name, headline.title))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
        with_grid(axes)
        if name == "ece" or (name == headline.metric and headline.is_share):
            in_percent(axes.yaxis)
    panels[0].axhline(document["target"], color=GRID, linestyle="--", linewidth=1)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)), fontsize=9)
    return figure


@styled
def differences(document: Document) -> Figure:
    """Draw each method's difference to its control with its interval: area under the curve, and last round.

    Args:
        document: The comparison; at least one method has tests.
    """
    headline = Headline(**document["headline"])
    tested = [method for method in document["methods"] if method["tests"] is not None]
    figure = new_figure(9.6, 1.3 + 0.42 * len(tested))
    panels = figure.subplots(1, 2, sharey=True)
    titles = (f"Mean {headline.word} over the labels (AULC)", f"With all {document['labels'][-1]} labels")
    factor = 100 if headline.is_share else 1
    for axes, measure, title in zip(panels, ("aulc", "final"), titles, strict=True):
        for row, method in enumerate(tested):
            test = method["tests"][measure]
            judged = test["p_adjusted"]
            clear = judged is not None and judged < 0.05
            color = (GREEN if test["difference"] > 0 else VERMILLION) if clear else GRID
            ends = [factor * test["low"], factor * test["high"]]
            axes.plot(ends, [row, row], color=color, linewidth=2.4, solid_capstyle="round")
            axes.plot(factor * test["difference"], row, "o", color=color, markersize=6)
        axes.axvline(0, color=INK, linewidth=1)
        axes.set(title=title, xlabel="points better" if headline.is_share else "better")
        axes.set_ylim(len(tested) - 0.5, -0.5)
        with_grid(axes)
    panels[0].set_yticks(range(len(tested)), [method["name"] for method in tested])
    return figure


def _draw(axes: Axes, document: Document, method: Mapping[str, Any], name: str, index: int) -> None:
    labels = document["labels"]
    values = [[run["points"][row][name] for run in method["runs"]] for row in range(len(labels))]
    means = [sum(some) / len(some) for some in values]
    is_control = method["control"] is None
    line, marker = ("-", "") if is_control else _LINES[(index - 1) // len(_COLORS) % len(_LINES)]
    color = INK if is_control else _COLORS[(index - 1) % len(_COLORS)]
    width = 2.6 if is_control else 1.8
    axes.plot(
        labels, means, color=color, linestyle=line, marker=marker, markersize=4, linewidth=width, label=method["name"]
    )
    if is_control or len(document["methods"]) <= _MAX_BANDS:
        lows, highs = [min(some) for some in values], [max(some) for some in values]
        axes.fill_between(labels, lows, highs, color=color, alpha=0.13, linewidth=0)
