"""The rules that end a campaign by what was measured: pure functions of evaluate_adapter's metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from activelora.config.stopping import StoppingConfig
from activelora.intervals import wilson_interval

Metrics = Mapping[str, float]
_ROUNDING = 1e-9  # accuracies are fractions: 0.72 − 0.7 is a little more than 0.02 to a computer


def target_reached(stopping: StoppingConfig, metrics: Metrics, level: float) -> str | None:
    """Return in words that the targets are reached, all that are set; None while one is not or none is set.

    With ``target_on: interval`` the lower end of accuracy's confidence interval and the upper end of ECE's count. Where
    the holdout has been refreshed, a target must be reached on it too.

    Args:
        stopping: The campaign's settings.
        metrics: Metrics of one evaluation: ``accuracy``, ``accuracy_low``, ``ece``, ``ece_high``, ``num_holdout``.
        level: Confidence level of the intervals, in (0, 1).
    """
    on_interval = stopping.target_on == "interval"
    reasons = []
    if (target := stopping.target_accuracy) is not None:
        value = _sure_accuracy(metrics, level) if on_interval else metrics["accuracy"]
        if "refreshed_accuracy" in metrics:
            value = min(value, _sure_refreshed(metrics, level) if on_interval else metrics["refreshed_accuracy"])
        if value < target:
            return None
        what = "the lower end of accuracy's interval" if on_interval else "accuracy"
        reasons.append(f"{what} is {value:.3f}, and {target:g} was wanted")
    if (target := stopping.target_ece) is not None:
        name = "ece_high" if on_interval else "ece"
        value = max(metrics[name], metrics.get(f"refreshed_{name}", 0.0))
        if value > target:
            return None
        what = "the upper end of ECE's interval" if on_interval else "ECE"
        reasons.append(f"{what} is {value:.3f}, and {target:g} at most was wanted")
    return f"the target is reached: {'; '.join(reasons)}" if reasons else None


def _sure_accuracy(metrics: Metrics, level: float) -> float:
    """Return the lower end of accuracy's interval: the bootstrap's has no width where every answer is right."""
    num_items = round(metrics["num_holdout"])
    low, _ = wilson_interval(round(metrics["accuracy"] * num_items), num_items, level)
    return min(low, metrics["accuracy_low"])


def _sure_refreshed(metrics: Metrics, level: float) -> float:
    """Return the same of the weighted accuracy, on as many items as its weights leave."""
    num_items = max(1, math.floor(metrics["refreshed_effective_size"]))
    low, _ = wilson_interval(round(metrics["refreshed_accuracy"] * num_items), num_items, level)
    return min(low, metrics["refreshed_accuracy_low"])


def plateau_reached(stopping: StoppingConfig, accuracies: Sequence[float]) -> str | None:
    """Return in words that the last rounds brought no gain; None while they did or the rule is off.

    Args:
        stopping: The campaign's settings.
        accuracies: Accuracies of the trained rounds, from round 1, in order.
    """
    num_rounds = stopping.plateau_rounds
    if num_rounds is None or len(accuracies) <= num_rounds:
        return None
    before, lately = max(accuracies[:-num_rounds]), max(accuracies[-num_rounds:])
    if lately - before > stopping.plateau_gain + _ROUNDING:
        return None
    rounds = "the last round" if num_rounds == 1 else f"the last {num_rounds} rounds"
    return (
        f"accuracy is on a plateau: at best {lately:.3f} in {rounds} and {before:.3f} before, "
        f"and a gain above {stopping.plateau_gain:g} was wanted"
    )


def lowest_sure_accuracy(target: float, num_items: int, level: float) -> float:
    """Return the measured accuracy whose confidence interval just lies above the target (Wilson 1927).

    Args:
        target: Accuracy that is wanted.
        num_items: Items of the holdout.
        level: Confidence level of the two-sided interval, in (0, 1).
    """
    # The interval's lower end p − z·sqrt(p(1 − p)/N) meets the target where Wilson's interval about it ends.
    z2 = _quantile(level) ** 2 / num_items
    root = math.sqrt(z2 * (4 * target * (1 - target) + z2))
    return min(1.0, (2 * target + z2 + root) / (2 * (1 + z2)))


def highest_sure_ece(accuracy: float, num_items: int, level: float) -> float:
    """Return the upper end of ECE's interval that a perfectly calibrated model has at best, of one confidence.

    Its accuracy and its confidence then differ by chance alone, with standard error sqrt(p(1 − p)/N); answers of
    several confidences fill several bins, and chance adds up.
    """
    return _quantile(level) * math.sqrt(accuracy * (1 - accuracy) / num_items)


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
