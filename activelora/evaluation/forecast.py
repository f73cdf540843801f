"""What more labels would bring: the forecast of a campaign, in numbers and in one sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

from activelora.campaign.history import RoundRecord, evaluated, read_history
from activelora.campaign.snapshot import View
from activelora.config import CampaignConfig
from activelora.evaluation.headline import Headline
from activelora.evaluation.headline_values import best_of, shown, sign_of
from activelora.evaluation.learning_curve import (
    HORIZON,
    MIN_POINTS,
    LearningCurve,
    MeasuredPoint,
    binomial_variance,
    fit_learning_curve,
)
from activelora.intervals import wilson_interval
from activelora.quantities import quantity

Status = Literal["too_few_rounds", "reached", "within_reach", "out_of_reach", "value", "range"]
FASTEST = 1.0
"""The exponent of the steepest fall of an error with more labels that few rounds leave open: 1/n. Learning curves of
classifiers seldom fall faster (Cortes et al. 1993 and Hestness et al. 2017 find exponents well below 1)."""


@dataclass(frozen=True)
class Forecast:
    """A forecast.

    Attributes:
        status: ``too_few_rounds`` before any training; ``range`` where there are too few rounds for a curve; for a
            target ``reached``, ``within_reach`` or ``out_of_reach``; without one ``value``.
        sentence: The forecast in words.
        metric: The headline metric that it is about.
        num_labels: Labels of the last trained round.
        target: Wanted value of the metric; None where none was named.
        more_labels: Labels still to ask for, or for ``value`` those that are assumed; None if the curve does not
            reach the target.
        low: Lower end of the interval of ``more_labels``, or of the metric for ``value``.
        high: Upper end; None is open.
        value: The metric with ``more_labels`` more, for ``value``.
        level: Confidence level of the interval, in (0, 1).
    """

    status: Status
    sentence: str
    metric: str
    num_labels: int
    target: float | None = None
    more_labels: int | None = None
    low: float | None = None
    high: float | None = None
    value: float | None = None
    level: float | None = None

    def document(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return asdict(self)


def default_target(config: CampaignConfig, headline: Headline) -> float | None:
    """Return the value of the headline metric that the campaign file wants: where it stops, else what gates ask for."""
    stopping, gates = config.stopping, config.evaluation.gates
    wanted = [stopping.target_primary, gates.primary]
    if headline.metric == "accuracy":
        wanted = [stopping.target_primary, stopping.target_accuracy, gates.primary, gates.min_accuracy]
    return next((value for value in wanted if value), None)


def forecast(campaign: View, headline: Headline, target: float | None = None) -> Forecast:
    """Return what more labels would bring.

    The intervals speak of this holdout: that another one would differ is not part of them.

    Args:
        campaign: The campaign.
        headline: The metric that it is judged by.
        target: Wanted value of the headline metric; None takes the campaign file's, or without one asks what twice the
            labels bring.
    """
    config = campaign.config
    target = default_target(config, headline) if target is None else target
    trained = [record for record in evaluated(read_history(campaign)) if record.num_labels > 0]
    num_labels = trained[-1].num_labels if trained else 0
    if trained and target is not None and _reaches(headline, trained[-1].metrics[headline.metric], target):
        value = shown(headline, trained[-1].metrics[headline.metric])
        sentence = f"{shown(headline, target)} {headline.word} is reached: {value} with {num_labels} labels"
        return Forecast("reached", sentence, headline.metric, num_labels, target, more_labels=0)
    if len({record.num_labels for record in trained}) < MIN_POINTS:
        if not trained:
            sentence = f"nothing to forecast yet: no round is trained, and a curve needs {MIN_POINTS}"
            return Forecast("too_few_rounds", sentence, headline.metric, num_labels, target)
        return _range(trained, headline, target, config.evaluation.confidence_level)
    sign = sign_of(headline)
    level = config.evaluation.confidence_level
    points = [_point(record, headline, sign, level) for record in trained]
    curve = fit_learning_curve(points, limit=sign * best_of(headline), level=level)
    if target is None:
        return _value(curve, headline, sign)
    return _labels(curve, headline, sign, target)


def _range(trained: Sequence[RoundRecord], headline: Headline, target: float | None, level: float) -> Forecast:
    """Return what few rounds leave open: from no gain at all to an error that falls with 1/n.

    Both ends start from the last round's interval, so that luck of the holdout is part of the range.
    """
    last, best = trained[-1], best_of(headline)
    spent, low, high = last.num_labels, *_interval(last, headline, level)
    worst, luckiest = (high, low) if headline.lower_is_better else (low, high)
    num = len({record.num_labels for record in trained})
    rounds = quantity(num, "trained round makes", "trained rounds make")
    few = f"{rounds} no curve, which needs {MIN_POINTS}"
    if target is None:
        reached = best + (luckiest - best) * 2.0**-FASTEST
        ends = sorted((worst, reached))
        between = f"{shown(headline, ends[0])} and {shown(headline, ends[1])}"
        sentence = (
            f"{spent} more labels, twice as many, would bring {headline.word} to between {between}: "
            f"a range from no gain to the fastest there is, for {few}"
        )
        return Forecast("range", sentence, headline.metric, spent, None, spent, ends[0], ends[1], None, level)
    gap = abs(target - best)
    times = abs(luckiest - best) / gap if gap > 0 else math.inf
    fewest = None if math.isinf(times) else _more(max(1.0, times ** (1.0 / FASTEST)) * spent, spent, math.floor)
    least = "no number of labels is sure to" if fewest is None else f"at least {fewest} more labels, if any number,"
    sentence = f"{least} reach {shown(headline, target)} {headline.word}: {few}, so there is no upper end"
    return Forecast("range", sentence, headline.metric, spent, target, None, fewest, None, None, level)


def _interval(record: RoundRecord, headline: Headline, level: float) -> tuple[float, float]:
    """Return the interval of a round's headline metric; of shares one that few items do not shrink to a point."""
    metrics, name = record.metrics, headline.metric
    if headline.counts_items:
        num = int(metrics["num_holdout"])
        return wilson_interval(min(num, round(metrics[name] * num)), num, level)
    low, high = metrics[f"{name}_low"], metrics[f"{name}_high"]
    if headline.verb and headline.is_share:  # a label that is never found has a bootstrap interval without width
        num = max(1, int(metrics[headline.counted]))
        least, most = wilson_interval(min(num, round(metrics[name] * num)), num, level)
        return min(low, least), max(high, most)
    return low, high


def _labels(curve: LearningCurve, headline: Headline, sign: float, target: float) -> Forecast:
    needed = curve.labels_needed(sign * target)
    spent = round(curve.last)
    estimate = _more(needed.estimate, curve.last)
    low, high = _more(needed.low, curve.last, math.floor), _more(needed.high, curve.last, math.ceil)
    wanted, level = shown(headline, target), f"{curve.level:.0%} interval"
    if estimate is None:
        best = shown(headline, sign * curve.value_at(HORIZON * curve.last))
        times = f"{HORIZON:.0f} times the {spent} labels"
        sentence = f"the curve does not reach {wanted} {headline.word}: with {times} it comes to {best}"
        sentence += "" if low is None else f" ({level}: not before {low} more labels, if at all)"
    else:
        span = f"{low} to {high}" if high is not None else f"at least {low}; the rounds so far give no upper end"
        sentence = f"about {estimate} more labels to reach {wanted} {headline.word} ({level}: {span})"
    status: Status = "out_of_reach" if estimate is None else "within_reach"
    return Forecast(status, sentence, headline.metric, spent, target, estimate, low, high, None, curve.level)


def _value(curve: LearningCurve, headline: Headline, sign: float) -> Forecast:
    value = sign * curve.value_at(2 * curve.last)
    low, high = sorted(sign * end for end in curve.value_interval(2 * curve.last))
    spent = round(curve.last)
    sentence = (
        f"{spent} more labels, twice as many, would bring {headline.word} to about {shown(headline, value)} "
        f"({curve.level:.0%} interval: {shown(headline, low)} to {shown(headline, high)})"
    )
    return Forecast("value", sentence, headline.metric, spent, None, spent, low, high, value, curve.level)


def _point(record: RoundRecord, headline: Headline, sign: float, level: float) -> MeasuredPoint:
    value = record.metrics[headline.metric]
    if headline.counts_items:
        variance = binomial_variance(value, int(record.metrics["num_holdout"]))
    else:
        width = record.metrics[f"{headline.metric}_high"] - record.metrics[f"{headline.metric}_low"]
        variance = (width / 2 / NormalDist().inv_cdf((1.0 + level) / 2.0)) ** 2
        if headline.verb and headline.is_share:
            variance = max(variance, binomial_variance(value, max(1, int(record.metrics[headline.counted]))))
    return MeasuredPoint(record.num_labels, sign * value, max(variance, 1e-12))


def _reaches(headline: Headline, value: float, target: float) -> bool:
    return sign_of(headline) * value >= sign_of(headline) * target


def _more(num_labels: float | None, spent: float, rounded: Callable[[float], int] = round) -> int | None:
    """Return the labels still to ask for, to two digits: the forecast knows no more. Ends are rounded outwards."""
    if num_labels is None:
        return None
    more = max(0.0, num_labels - spent)
    unit = 10 ** max(0, math.floor(math.log10(more)) - 1) if more >= 1 else 1
    return rounded(more / unit) * unit
