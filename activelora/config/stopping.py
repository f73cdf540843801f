"""The `stopping` section of a campaign file."""

from __future__ import annotations

from typing import Literal

from activelora.config.section import Fraction, Positive, Section


class StoppingConfig(Section):
    """When the campaign ends: once one of these says so, or by `activelora stop`. The reason is recorded."""

    max_rounds: Positive = 5
    """Planned queries, not counting round 0's evaluation. STAR's lambda runs over this number."""
    label_budget: Positive | None = None
    """Labels that may be asked for in all. None is max_rounds × batch_size."""
    target_accuracy: Fraction | None = None
    """End when the holdout accuracy is at least this. With `target_ece`, both must be reached in the same round."""
    target_ece: Fraction | None = None
    """End when the holdout ECE is at most this. ECE is biased upwards on a small holdout: `activelora check` says
    where the target can hardly be reached."""
    target_primary: float | None = None
    """End when the primary metric (`evaluation.primary`) is at least this; where lower is better (`nll`, errors), at
    most. With other targets, all must be reached in the same round."""
    target_on: Literal["interval", "point"] = "interval"
    """`interval`: the safe end of the confidence interval must pass the target, the lower one of accuracy and the
    upper one of ECE. `point`: the measured value must, which luck can do: it is looked at after every round."""
    plateau_rounds: Positive | None = None
    """End when this many rounds in a row brought no gain in the primary metric (accuracy, unless `evaluation.primary`
    says otherwise) over the best trained round before them. Round 0 does not count: the base model may well beat an
    adapter that has seen one batch. None never does."""
    plateau_gain: Fraction = 0.0
    """What counts as no gain: this much or less. 0.01 is one point of accuracy, or 0.01 of another primary
    metric. Only with `plateau_rounds`."""
