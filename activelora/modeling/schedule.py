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
    epochs = config.epochs if config.converged_loss is None else min(1.0, config.epochs)
    return max(1, config.min_steps, _steps(epochs, num_labels, config))


class Schedule:
    """The steps of one training run, whose losses only grow: a resumed run goes on as one that was not interrupted.

    Args:
        num_labels: Labels.
        config: Training section.
        bound: The mean loss of a pass below which the labels are learned, in nats. None is ``config.converged_loss``,
            which is right where no label contradicts another one.
    """

    def __init__(self, num_labels: int, config: TrainingConfig, bound: float | None = None) -> None:
        self._config = config
        self._bound = None if config.converged_loss is None else config.converged_loss if bound is None else bound
        self._fewest = num_steps(num_labels, config)
        self._pass = math.ceil(num_labels / config.batch_size)
        self._warmup = round(config.warmup_fraction * self._fewest)
        by_epochs = _steps(config.epochs, num_labels, config)
        self.most_steps = self._fewest if self._bound is None else max(self._fewest, config.max_steps, by_epochs)
        """The number of steps, or the most where the loss decides."""
        self._last_turn = _before_fall(self.most_steps)
        self._next = min(self._last_turn, max(1, self._warmup, _before_fall(self._fewest)))  # not looked at as a turn
        self._turned: int | None = None

    def total(self, losses: Sequence[float]) -> int | None:
        """Return the number of steps; None where the loss decides and has not yet.

        Args:
            losses: Negative log-likelihood of every step so far, in nats.
        """
        if self._bound is None:
            return self.most_steps
        turn = self._turn(losses)
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
        turn = self._turn(losses) or self._warmup
        left = (total - step) / max(1, total - turn)
        if self._config.schedule == "linear":
            return peak * left
        if self._config.schedule == "cosine":
            return peak * 0.5 * (1.0 + math.cos(math.pi * (1.0 - left)))
        return peak

    def _turn(self, losses: Sequence[float]) -> int | None:
        """Return the step at which the rate begins to fall, if that is known."""
        if self._bound is None:
            return self._warmup
        while self._turned is None and self._next <= min(len(losses), self._last_turn):
            recent = losses[max(0, self._next - self._pass) : self._next]
            if self._next == self._last_turn or math.fsum(recent) / len(recent) < self._bound:
                self._turned = self._next
            self._next += 1
        return None if self._turned is None or self._turned > len(losses) else self._turned


def _steps(epochs: float, num_labels: int, config: TrainingConfig) -> int:
    return math.ceil(epochs * num_labels / config.batch_size)


def _before_fall(total: int) -> int:
    return math.ceil(total * _FALL / (_FALL + 1))
