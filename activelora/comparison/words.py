"""The sentences of a comparison: what the numbers allow to say, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from activelora.evaluation.headline import Headline

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
        return f"{name} cannot be compared with {control}: one seed, and {headline.word} is no mean over items."
    area, last = method["tests"]["aulc"], method["tests"]["final"]
    means = f"mean {headline.word} over the labels {_difference(area, headline)}"
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


def calibration_sentence(method: Mapping[str, Any], num_labels: int) -> str:
    """Return a sentence on calibration against the control, or nothing where none was tested.

    Differences are told as they are, method minus control: below 0 is better.

    Args:
        method: A method of the comparison's document, with its adjusted p-values.
        num_labels: Labels of the last round.
    """
    tests = {name: method["tests"][name] for name in ("ece", "nll") if name in (method["tests"] or {})}
    if not tests:
        return ""
    parts = [
        f"{name.upper()} {-test['difference']:+.3f} ({test['level']:.0%} interval {-test['high']:+.3f} to "
        f"{-test['low']:+.3f}), p = {p_text(test['p_adjusted'])}"
        for name, test in tests.items()
    ]
    judged = [
        f"its {name.upper()} is {'lower, which is better' if test['difference'] > 0 else 'higher, which is worse'}"
        for name, test in tests.items()
        if test["p_adjusted"] is not None and test["p_adjusted"] < SIGNIFICANT
    ]
    found = " and ".join(judged) if judged else "not distinguishable"
    return f"{method['name']}'s calibration with {num_labels} labels, against {method['control']}: {found}: " + (
        "; ".join(parts) + "."
    )


def power_sentence(detectable: float | None, headline: Headline, num_seeds: int) -> str:
    """Return which difference a comparison would have found, so that "not distinguishable" can be read.

    Args:
        detectable: The difference in AULC that is found in 4 of 5 repeats; None with one seed.
        headline: The metric.
        num_seeds: Seeds that were run.
    """
    if detectable is None:
        return "One seed cannot tell a difference between methods from luck; give five or more."
    size = f"{100 * detectable:.1f} points" if headline.is_share else f"{detectable:.3f}"
    return (
        f"With {num_seeds} seeds and this spread, a true difference of {size} in the mean {headline.word} is found "
        "in 4 of 5 such comparisons; a smaller one is missed more often."
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
