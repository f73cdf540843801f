"""The sentences of a comparison: what the numbers allow to say, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from activelora.evaluation.headline import Headline
from activelora.evaluation.headline_values import word_of

SIGNIFICANT = 0.05
"""Holm's p-value below which a difference is called one."""


def verdict(method: Mapping[str, Any]) -> str:
    """Return ``control``, ``untested``, ``better``, ``worse`` or ``not distinguishable``, by the area under the curve.

    Args:
        method: A method of the comparison's document, with its adjusted p-values.
    """
    if method["control"] is None:
        return "control"
    if method["tests"] is None or method["tests"]["aulc"]["p_adjusted"] is None:
        return "untested"
    test = method["tests"]["aulc"]
    if test["p_adjusted"] >= SIGNIFICANT:
        return "not distinguishable"
    return "better" if test["difference"] > 0 else "worse"


def sentence(method: Mapping[str, Any], headline: Headline, num_labels: int, num_compared: int) -> str:
    """Return one sentence on a method, with its numbers.

    Args:
        method: A method of the comparison's document, with its verdict.
        headline: The metric.
        num_labels: Labels of the last round.
        num_compared: Methods whose p-values were corrected together.
    """
    name, control, found = method["name"], method["control"], method["verdict"]
    if found == "control":
        return f"{name} is what the others are compared with."
    if method["tests"] is None:
        return f"{name} cannot be compared with {control}: one seed, and {word_of(headline)} is no mean over items."
    area, last = method["tests"]["aulc"], method["tests"]["final"]
    means = f"mean {word_of(headline)} over the labels {_difference(area, headline)}"
    ends = f"with all {num_labels} labels {_difference(last, headline)}"
    if found == "untested":
        return (
            f"{name} cannot be told from {control} by one seed: {means}; {ends}; the intervals know the luck of the "
            "holdout's items, not that of training."
        )
    judged = {
        "better": f"{name} is better than {control}",
        "worse": f"{name} is worse than {control}",
        "not distinguishable": f"{name} is not distinguishable from {control}",
    }[found]
    held = "" if num_compared == 1 else f", Holm-corrected for {num_compared} comparisons"
    return (
        f"{judged}: {means}, p = {p_text(area['p_adjusted'])}{held}; {ends}, p = {p_text(last['p_adjusted'])} "
        f"({area['num_seeds']} seeds{_items(area, headline)})."
    )


def p_text(p_value: float | None) -> str:
    """Return a p-value for people."""
    if p_value is None:
        return "–"
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}" if p_value < 0.1 else f"{p_value:.2f}"


def signed(value: float, headline: Headline) -> str:
    """Return a difference for people: points of a share, or the metric's own unit."""
    return f"{100 * value:+.1f}" if headline.is_share else f"{value:+.3f}"


def _difference(test: Mapping[str, Any], headline: Headline) -> str:
    unit = " points" if headline.is_share else " better" if test["difference"] > 0 else ""
    span = f"{signed(test['low'], headline)} to {signed(test['high'], headline)}"
    return f"{signed(test['difference'], headline)}{unit} ({test['level']:.0%} interval {span})"


def _items(test: Mapping[str, Any], headline: Headline) -> str:
    if test["num_items"] > 1:
        return f" × {test['num_items']} holdout items"
    return ", each with its own holdout" if headline.is_mean else ""
