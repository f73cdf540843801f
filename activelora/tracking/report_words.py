"""The report's sentences: what the numbers mean, for someone who does not read metrics every day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from activelora.campaign.history import RoundRecord
from activelora.evaluation.forecast import Forecast
from activelora.evaluation.headline import Headline

_ECE_WORDS = (
    (0.05, "can be taken at face value"),
    (0.10, "is roughly right"),
    (0.20, "should be taken with care"),
    (1.01, "should not be relied on"),
)


def percent(value: float | None) -> str:
    """Return a share as people read it: 0.874 → ``87.4 %``."""
    return "–" if value is None else f"{100 * value:.1f} %"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with fixed digits, or a dash."""
    return "–" if value is None else f"{value:.{digits}f}"


def significant(value: float | None) -> str:
    """Return a number in its own unit with four significant digits, or a dash."""
    return "–" if value is None else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Return a duration: 75 → ``1 min 15 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def cut(text: str, length: int) -> str:
    """Return the text, shortened to a length with an ellipsis."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def summary(best: RoundRecord | None, zero_shot: RoundRecord | None, level: float, headline: Headline) -> str:
    """Return the result in one or two sentences.

    Args:
        best: The round that the report is about.
        zero_shot: Round 0, if it was measured.
        level: Confidence level of the intervals, in (0, 1).
        headline: The metric that is reported.
    """
    if best is None:
        return "Nothing has been measured yet."
    show = percent if headline.is_share else significant
    metrics, name = best.metrics, headline.metric
    value, num = show(metrics[name]), int(metrics["num_holdout"])
    said = f"answers {value} of {num} unseen items correctly"
    if not headline.is_share:
        said = f"is off by {value} ({headline.title}) on {num} unseen items"
    how_good = f"{said} ({level:.0%} interval {show(metrics[f'{name}_low'])} to {show(metrics[f'{name}_high'])})"
    if best.round == 0:
        return f"Before any training, the base model {how_good}."
    text = f"With {best.num_labels} labels, the model {how_good}."
    if zero_shot is None:
        return text
    before = zero_shot.metrics[name]
    if not headline.is_share:
        return f"{text} Before training it was {show(before)}."
    gain = 100 * (metrics[name] - before)
    text += f" Before training it was {show(before)}: {'a gain' if gain >= 0 else 'a loss'} of {abs(gain):.0f} "
    return text + ("point." if round(abs(gain)) == 1 else "points.")


def forecast(found: Forecast) -> str:
    """Return what more labels would bring, as a sentence of its own."""
    return f"Forecast: {found.sentence}."


def calibration(evaluation: Mapping[str, Any]) -> str:
    """Return what the calibration error means, and in which direction the model errs."""
    if evaluation["reliability"] is None:
        return _spread(evaluation)
    ece = evaluation["metrics"]["ece"]
    meaning = next(text for limit, text in _ECE_WORDS if ece < limit)
    bins = [bin_ for bin_ in evaluation["reliability"] if bin_["count"]]
    total = sum(bin_["count"] for bin_ in bins)
    excess = sum(bin_["count"] * (bin_["confidence"] - bin_["accuracy"]) for bin_ in bins) / total
    direction = "too sure of itself" if excess > 0 else "too modest"
    text = f"The model's own confidence {meaning}: it is off by {100 * ece:.1f} percentage points on average"
    text += f", and on the whole {100 * abs(excess):.1f} points {direction}." if abs(excess) >= 0.01 else "."
    if evaluation.get("scaled"):
        scaled = evaluation["scaled"]["metrics"]["ece"]
        text += f" With temperature scaling it would be off by {100 * scaled:.1f} points."
    return text


def coverage(evaluation: Mapping[str, Any]) -> str:
    """Return what is gained when unsure answers go to people; nothing for predicted numbers."""
    if evaluation["risk_coverage"] is None:
        return ""
    curve = evaluation["risk_coverage"]
    share, risk = min(zip(curve["coverage"], curve["risk"], strict=True), key=lambda point: abs(point[0] - 0.8))
    return (
        f"If it answers only the {100 * share:.0f} % of items that it is most sure about and leaves the rest to "
        f"people, {percent(risk)} of its answers are wrong, instead of {percent(curve['risk'][-1])}."
    )


def _spread(evaluation: Mapping[str, Any]) -> str:
    metrics, level = evaluation["metrics"], evaluation["confidence_level"]
    inside, width = metrics["interval_coverage"], metrics["interval_width"]
    gap = inside - level
    verdict = "as wide as they should be"
    if abs(gap) >= 0.03:
        verdict = "too wide" if gap > 0 else "too narrow: the model is too sure of itself"
    return (
        f"The model's {level:.0%} intervals hold {percent(inside)} of the true numbers: "
        f"on the whole they are {verdict}. They are {significant(width)} wide on average."
    )
