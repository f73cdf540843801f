"""The rules that end a campaign by what was measured: pure functions of evaluate_adapter's metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from activelora.config.stopping import StoppingConfig
from activelora.intervals import wilson_interval

Metrics = Mapping[str, float]
PRIMARY = "primary"
"""The detail of evaluate_adapter that says which metric the campaign is judged by; where there is none, accuracy."""


@dataclass(frozen=True)
class Judged:
    """Which metric a campaign is judged by, as its evaluations noted it.

    Attributes:
        metric: Its name in an evaluation.
        word: Its name within a sentence.
        lower_is_better: Lower values are better.
        is_share: It lies between 0 and 1.
        counted: The metric that says on how many items it rests.
    """

    metric: str = "accuracy"
    word: str = "accuracy"
    lower_is_better: bool = False
    is_share: bool = True
    counted: str = "num_holdout"

    @classmethod
    def noted(cls, details: Mapping[str, Any]) -> Judged:
        """Return what an evaluation noted."""
        return cls(**details[PRIMARY]) if PRIMARY in details else cls()

    @property
    def sign(self) -> float:
        """1 where higher is better, else −1."""
        return -1.0 if self.lower_is_better else 1.0


ACCURACY = Judged()
_ROUNDING = 1e-9  # accuracies are fractions: 0.72 − 0.7 is a little more than 0.02 to a computer


def target_reached(stopping: StoppingConfig, metrics: Metrics, level: float, judged: Judged = ACCURACY) -> str | None:
    """Return in words that the targets are reached, all that are set; None while one is not or none is set.

    With ``target_on: interval`` the worse end of each confidence interval counts: accuracy's lower one, ECE's upper
    one. Where the holdout has been refreshed, a target must be reached on it too.

    Args:
        stopping: The campaign's settings.
        metrics: Metrics of one evaluation: ``accuracy``, ``accuracy_low``, ``ece``, ``ece_high``, ``num_holdout``.
        level: Confidence level of the intervals, in (0, 1).
        judged: The primary metric.
    """
    on_interval = stopping.target_on == "interval"
    reasons = []
    if (wanted := stopping.target_primary) is not None:
        value = _worst(metrics, level, judged) if on_interval else _measured(metrics, judged)
        if judged.sign * value < judged.sign * wanted:
            return None
        end = "upper" if judged.lower_is_better else "lower"
        what = f"the {end} end of {judged.word}'s interval" if on_interval else judged.word
        most = " at most" if judged.lower_is_better else ""
        reasons.append(f"{what} is {value:.3f}, and {wanted:g}{most} was wanted")
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


def _measured(metrics: Metrics, judged: Judged) -> float:
    """Return the primary metric, where there is a refreshed holdout the worse of the two."""
    names = [name for name in (judged.metric, f"refreshed_{judged.metric}") if name in metrics]
    return judged.sign * min(judged.sign * metrics[name] for name in names)


def _worst(metrics: Metrics, level: float, judged: Judged) -> float:
    """Return the worse end of the primary metric's interval, where there is a refreshed holdout of the worse two.

    The bootstrap's has no width where every answer is right, so a share's is no better than Wilson's for as many items:
    those of the label, of a metric of one label.
    """
    if judged.metric == "accuracy":
        ends = [_sure_accuracy(metrics, level)]
        ends += [_sure_refreshed(metrics, level)] * ("refreshed_accuracy" in metrics)
        return min(ends)
    end = "high" if judged.lower_is_better else "low"
    names = [name for name in (judged.metric, f"refreshed_{judged.metric}") if name in metrics]
    ends = [metrics[f"{name}_{end}"] for name in names]
    if judged.is_share:
        num_items = max(1, round(metrics[judged.counted]))
        ends.append(wilson_interval(round(metrics[judged.metric] * num_items), num_items, level)[0])
    return judged.sign * min(judged.sign * one for one in ends)


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


def plateau_reached(stopping: StoppingConfig, values: Sequence[float], judged: Judged = ACCURACY) -> str | None:
    """Return in words that the last rounds brought no gain; None while they did or the rule is off.

    Args:
        stopping: The campaign's settings.
        values: The primary metric of the trained rounds, from round 1, in order.
        judged: The primary metric.
    """
    num_rounds = stopping.plateau_rounds
    if num_rounds is None or len(values) <= num_rounds:
        return None
    best = min if judged.lower_is_better else max
    before, lately = best(values[:-num_rounds]), best(values[-num_rounds:])
    if judged.sign * (lately - before) > stopping.plateau_gain + _ROUNDING:
        return None
    rounds = "the last round" if num_rounds == 1 else f"the last {num_rounds} rounds"
    return (
        f"{judged.word} is on a plateau: at best {lately:.3f} in {rounds} and {before:.3f} before, "
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
