"""The report's sentences: what the numbers mean, for someone who does not read metrics every day."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from activelora.evaluation.forecast import Forecast
from activelora.evaluation.temperature import HIGHEST, LOWEST, bound_of
from activelora.quantities import quantity

_ECE_WORDS = (
    (0.05, "can be taken at face value"),
    (0.10, "is roughly right"),
    (0.20, "should be taken with care"),
    (1.01, "should not be relied on"),
)
_BY_HEART, _HALF_LEARNED = 0.02, 0.5
"""Training losses in nats below and above which more steps did nothing and much: results/training-length.md."""
_AT_BOUND = {
    "lowest": f"at the lowest allowed, {LOWEST:g}: the calibration split has hardly a mistake to fit it to",
    "highest": f"at the highest allowed, {HIGHEST:g}: answers on the calibration split are hardly better than guesses",
}


def percent(value: float | None) -> str:
    """Return a share as people read it: 0.874 → ``87.4 %``, which no line breaks apart."""
    return "–" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


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


def joined(parts: Sequence[str]) -> str:
    """Return a list as people write it: ``a, b and c``."""
    *most, last = parts or [""]
    return f"{', '.join(most)} and {last}" if most else last


def size(num_bytes: int | None) -> str:
    """Return a file's size: ``1.4 MB``."""
    if num_bytes is None:
        return ""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{num_bytes} bytes"


_HESITATION = re.compile(r"(?:^|; )(the model hesitates between .+)$", re.DOTALL)
_SCORE = re.compile(r"^([a-z][a-z _-]*?) (-?[0-9][0-9.e+-]*)(.*)$", re.DOTALL)


def words_first(reason: str) -> tuple[str, str]:
    """Split a strategy's reason into what anybody understands, and the numbers behind it."""
    if found := _HESITATION.search(reason):
        sentence, rest = found[1], reason[: found.start()]
    elif found := _SCORE.match(reason):
        sentence, rest = f"chosen for its {found[1]}", reason
    else:
        sentence, rest = reason, ""
    return sentence[:1].upper() + sentence[1:], rest


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
    if (end := bound_of((evaluation.get("temperature") or {}).get("value", 1.0))) is not None:
        text += f" The temperature is {_AT_BOUND[end]}, so it says little."
    return text


def training(
    metrics: Mapping[str, float], *, is_single: bool, per: str = "answer token", longer: str = "training.min_steps"
) -> str:
    """Return how long the adapter was trained, and what more or fewer steps would do.

    Args:
        metrics: Those of the round's ``train_adapter``.
        is_single: Whether a label is the one right answer, so that its loss can come near 0.
        per: What the loss is the mean over.
        longer: The setting that lets it train for more steps.
    """
    labels, steps = int(metrics["num_labels"]), int(metrics["num_steps"])
    loss = metrics["final_loss"]
    said = (
        f"Its adapter was trained for {quantity(steps, 'step', 'steps')} on {quantity(labels, 'label', 'labels')}, "
        f"down to a loss of {loss:.2g} nats per {per}."
    )
    if is_single and loss < _BY_HEART:
        said += " It knows them by heart: more steps would hardly change its answers, and make it surer of them."
    elif is_single and loss > _HALF_LEARNED:
        said += f" It has not learned them yet: more steps ({longer}) may help."
    return said


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


def alone(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return which share of the traffic the model may answer alone at which error, and its prediction sets, in words.

    Args:
        evaluation: ``evaluation.json``; those of older versions have neither.
    """
    found, sets = evaluation.get("abstention"), evaluation.get("conformal")
    missing = evaluation.get("no_thresholds", {}).get("abstention", "")
    points = [] if found is None else [point for point in found["offered"] if point["threshold"] is not None]
    return {
        "sentence": f"{found['words']}." if found else "",
        "missing": "" if found or not missing else f"Not told yet: {missing}.",
        "points": points,
        "sets": _sets(sets) if sets else "",
    }


def _sets(document: Mapping[str, Any]) -> str:
    on_holdout, wanted = document["holdout"], percent(1 - document["alpha"])
    low, high = on_holdout["coverage_interval"]
    text = (
        f"hold the right one in at least {wanted} of cases, by {document['num_items']} calibration items; on the "
        f"holdout in {percent(on_holdout['coverage'])} (interval {percent(low)} to {percent(high)})."
    )
    if "set_size" in on_holdout:
        single, mean = percent(on_holdout["single_share"]), number(on_holdout["set_size"], 2)
        return f"Prediction sets {text} They have {mean} labels on average; {single} have one."
    return f"Prediction intervals {text} They are {significant(on_holdout['interval_width'])} wide."


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
