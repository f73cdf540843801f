"""Does the holdout still stand for a pool that grows? By the texts that came later, and by labels of random draws.

The draws of exploration stand for the unlabelled pool of their round. Each was judged by the model of its round, and so
was the holdout: if both stand for the same pool, the model is right on as many of the one as of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.snapshot import Snapshot
from activelora.evaluation.drift import MIN_SHARE, TwoSample
from activelora.evaluation.exploration_check import LiveCheck
from activelora.evaluation.proportions import difference_interval

DRIFT = "drift"
"""The detail of a refresh, and of evaluate_adapter where the pool has grown, with what is known of drift."""


@dataclass(frozen=True)
class HoldoutGap:
    """Accuracy on random draws against that on the holdout, of the same models.

    Attributes:
        pool: Accuracy on the draws, in [0, 1].
        holdout: Accuracy on the holdout, in [0, 1]: the mean over the draws' rounds, each as often as it has draws.
        low: Lower end of the interval of the pool's accuracy minus the holdout's.
        high: Upper end of it.
        rounds: Rounds of the draws.
    """

    pool: float
    holdout: float
    low: float
    high: float
    rounds: tuple[int, ...]

    @property
    def is_different(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def holdout_gap(seen: Snapshot, check: LiveCheck) -> tuple[HoldoutGap, list[Manifest]]:
    """Return the gap over the rounds of a check, and the evaluations that it rests on.

    Args:
        seen: The campaign.
        check: What the random draws tell.
    """
    evaluations = [seen.require(Unit("evaluate_adapter", round_)) for round_ in check.rounds]
    draws = [check.num_by_round[round_] for round_ in check.rounds]
    accuracies = [evaluation.metrics["accuracy"] for evaluation in evaluations]
    holdout = sum(num * accuracy for num, accuracy in zip(draws, accuracies, strict=True)) / sum(draws)
    num_holdout = int(evaluations[-1].metrics["num_holdout"])
    right = check.explored.num - check.explored.num_wrong
    low, high = difference_interval(
        (right, check.explored.num), (round(holdout * num_holdout), num_holdout), check.level
    )
    return HoldoutGap(right / check.explored.num, holdout, low, high, check.rounds), evaluations


def drift_metrics(found: Mapping[str, Any] | None, gap: HoldoutGap | None) -> dict[str, float]:
    """Return what is known of drift as metrics of a round, `drift_*`.

    Args:
        found: The last refresh's :data:`DRIFT`.
        gap: The holdout's gap.
    """
    metrics = {}
    if found is not None:
        names = ("share", "auc", "p_value", "text_distance")
        metrics = {f"drift_{name}": float(found[name]) for name in names}
    if gap is not None:
        metrics |= {
            "drift_holdout_gap": gap.pool - gap.holdout,
            "drift_holdout_gap_low": gap.low,
            "drift_holdout_gap_high": gap.high,
        }
    return metrics


def drift_details(found: Mapping[str, Any] | None, gap: HoldoutGap | None) -> dict[str, Any]:
    """Return what is known of drift in words: `sentences`, and whether the holdout `stands` for the pool.

    Args:
        found: The last refresh's :data:`DRIFT`.
        gap: The holdout's gap.
    """
    sentences, reasons = list[str](), list[str]()
    if found is not None:
        sentences.append(
            f"{_percent(found['share'])} of the pool came after the first reading. By their texts alone, such items "
            f"are told from the others with an AUC of {found['auc']:.2f} (0.5: not at all, 1: always; "
            f"p = {found['p_value']:.4f})."
        )
        if found["share"] >= MIN_SHARE and two_sample(found).is_different:
            reasons.append("what came later differs from what the holdout was drawn with")
    if gap is not None:
        sentences.append(
            f"Of items drawn at random from the pool in {_rounds(gap.rounds)}, the model of that moment answered "
            f"{_percent(gap.pool)} correctly, of the holdout {_percent(gap.holdout)} (difference "
            f"{100 * gap.low:+.0f} to {100 * gap.high:+.0f} points)."
        )
        if gap.is_different:
            reasons.append("the model is right on another share of random draws from the pool than of the holdout")
    if reasons:
        sentences.append(
            f"Warning: the holdout may no longer stand for the pool: {', and '.join(reasons)}. Accuracy and "
            "calibration are those of the holdout."
        )
    return {"sentences": sentences, "stands": not reasons}


def two_sample(found: Mapping[str, Any]) -> TwoSample:
    """Return the comparison that a refresh has noted."""
    return TwoSample(
        int(found["num_old"]),
        int(found["num_new"]),
        float(found["text_distance"]),
        float(found["auc"]),
        float(found["p_value"]),
    )


def _rounds(rounds: Sequence[int]) -> str:
    return f"round {rounds[0]}" if len(rounds) == 1 else f"rounds {rounds[0]} to {rounds[-1]}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
