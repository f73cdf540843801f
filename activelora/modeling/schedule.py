"""How long an adapter is trained, and at what rate.

By a number of steps: the rate rises, then falls to the last step. Or until the labels are learned: the rate rises,
stays at its peak until the mean loss of one pass is low enough, and falls in a third as many steps again ("warm-up,
stable, decay": Hu et al. 2024, arXiv 2404.06395, there with the time of the fall given beforehand).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from activelora.config import TrainingConfig

_FALL = 3
"""The rate falls in one step for so many before."""


def num_steps(num_labels: int, config: TrainingConfig) -> int:
    """Return the number of optimiser steps for that many labels; the fewest, where their loss decides."""
    by_epochs = math.ceil(config.epochs * num_labels / config.batch_size)
    return max(1, config.min_steps, by_epochs)


class Schedule:
    """The steps of one training run. A pure function of the losses so far: a resumed run goes on as one that was not.

    Args:
        num_labels: Labels.
        config: Training section.
    """

    def __init__(self, num_labels: int, config: TrainingConfig) -> None:
        self._config = config
        self._fewest = num_steps(num_labels, config)
        self._pass = math.ceil(num_labels / config.batch_size)
        self._warmup = round(config.warmup_fraction * self._fewest)
        self.most_steps = self._fewest if config.converged_loss is None else max(self._fewest, config.max_steps)
        """The number of steps, or the most where the loss decides."""

    def total(self, losses: Sequence[float]) -> int | None:
        """Return the number of steps; None where the loss decides and has not yet.

        Args:
            losses: Negative log-likelihood of every step so far, in nats.
        """
        if self._config.converged_loss is None:
            return self.most_steps
        turn = self._turn(losses, self._config.converged_loss)
        return None if turn is None else min(self.most_steps, turn + math.ceil(turn / _FALL))

    def rate(self, losses: Sequence[float], peak: float) -> float:
        """Return the learning rate of the next step.

        Args:
            losses: Negative log-likelihood of every step before, in nats.
            peak: The peak rate.
        """
        step, total = len(losses), self.total(losses)
        if step < self._warmup:
            return peak * (step + 1) / self._warmup
        if total is None:
            return peak
        bound = self._config.converged_loss
        turn = self._warmup if bound is None else self._turn(losses, bound) or self._warmup
        left = (total - step) / max(1, total - turn)
        if self._config.schedule == "linear":
            return peak * left
        if self._config.schedule == "cosine":
            return peak * 0.5 * (1.0 + math.cos(math.pi * (1.0 - left)))
        return peak

    def _turn(self, losses: Sequence[float], bound: float) -> int | None:
        """Return the step at which the rate begins to fall, if that is known."""
        first, last = _before_fall(self._fewest), _before_fall(self.most_steps)
        for step in range(max(first, self._warmup), min(len(losses) + 1, last)):
            recent = losses[max(0, step - self._pass) : step]
            if recent and math.fsum(recent) / len(recent) < bound:
                return step
        return last if len(losses) >= last else None


def _before_fall(total: int) -> int:
    return math.ceil(total * _FALL / (_FALL + 1))
