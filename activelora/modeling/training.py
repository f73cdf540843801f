"""The training loop: one fresh adapter on a handful of labels.

Letters: B batch, T tokens, D features, C answers, V vocabulary.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from peft import PeftModel
from torch import nn

from activelora.config import TrainingConfig
from activelora.errors import DIVERGED, ModelError
from activelora.modeling.answer_loss import Example
from activelora.modeling.base import BaseModel
from activelora.modeling.label_order import group_by_length, groups_alike
from activelora.modeling.learned import learned_below
from activelora.modeling.parallel import ALONE, Team, whole
from activelora.modeling.posterior import Trainee
from activelora.modeling.preference_loss import Pair, loss_of
from activelora.modeling.schedule import Schedule
from activelora.modeling.shared_dropout import SharedDropout
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.trunk_states import TrunkStates
from activelora.progress import track
from activelora.seeding import derive_seed

logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a training run is; what a checkpoint holds besides the tensors.

    Attributes:
        step: Optimiser steps done.
        losses: Negative log-likelihood of each step, in nats per answer token, without what the method adds.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)


class Trainer:
    """Trains an adapter. Read :meth:`run`.

    Args:
        base: The base model, with the adapter attached to it.
        trainee: The adapter, and what its method adds to the loop.
        examples: The labelled items, or which of two answers is better.
        config: Training section.
        seed: Seed of batches and of each step's draws.
        trunk_cache: Store of the trunk's states across runs, if there is one.
        team: The processes that share each step's batch; all of them run this with the same arguments.
    """

    def __init__(
        self,
        base: BaseModel,
        trainee: Trainee,
        examples: Sequence[Example] | Sequence[Pair],
        config: TrainingConfig,
        seed: int,
        trunk_cache: TrunkStates | None = None,
        team: Team = ALONE,
    ) -> None:
        self._trainee = trainee
        self._team = team
        self._dropout = SharedDropout()
        self._lengths = [len(one.ids) for one in examples]
        self._examples = examples
        self._config = config
        self._seed = seed
        bound = None if config.converged_loss is None else learned_below(examples, config.converged_loss)
        self._schedule = Schedule(len(examples), config, bound)
        self.progress = Progress()
        self._accelerator = Accelerator(
            cpu=base.device.type == "cpu", mixed_precision="bf16" if base.device.type == "cuda" else "no"
        )
        # Processes that gather layers together must all run the trunk, or none: their caches may differ.
        alone = team.size == 1
        by_token = isinstance(trainee, PlainTrainee)  # others draw noise for each row of a batch
        self._loss = loss_of(
            base,
            first_adapted(trainee.adapted),
            examples,
            None if team.shards else trunk_cache,
            packing=alone and (by_token if config.packing is None else config.packing),
            narrowing=alone and by_token and not config.gradient_checkpointing and config.packing is not False,
        )
        with self._accelerator.autocast():  # as the steps are computed
            self._loss.prepare()
        self._groups_alike = groups_alike([one.ids for one in examples]) if alone and config.packing else None
        self._shared_loss = team.wrap(self._loss, self._loss.layers, self._accelerator)
        self.optimizers = trainee.optimizers(config)  # after FSDP has put its parameters in the place of the model's
        self._peak_rates = [float(group["lr"]) for group in self._groups()]
        self.parameters: list[nn.Parameter] = [parameter for group in self._groups() for parameter in group["params"]]

    @property
    def is_done(self) -> bool:
        """Whether :attr:`progress` is at the last step."""
        return self.progress.step == self._schedule.total(self.progress.losses)

    @property
    def most_steps(self) -> int:
        """The number of steps, or the most where the loss decides."""
        return self._schedule.most_steps

    def run(self, checkpoint: Callable[[], None]) -> list[float]:
        """Train from where :attr:`progress` is to the last step.

        Args:
            checkpoint: Called every `checkpoint_every_steps` steps; saves parameters, optimisers and progress.

        Returns:
            The negative log-likelihood of every step, in nats.

        Raises:
            ModelError: Loss or weights are no numbers any more.
        """
        steps = takewhile(lambda _: not self.is_done, range(self.progress.step, self.most_steps))
        num_left = self.most_steps - self.progress.step
        checkpointed = self._loss.checkpointed_layers() if self._config.gradient_checkpointing else nullcontext()
        shared = self._dropout.installed(self._trainee.adapted) if self._team.size > 1 else nullcontext()
        with shared, self._trainee.training(), checkpointed:
            shown = track(steps, "training the adapter", num_left) if self._team.leads else steps
            for step in shown:
                self.progress.losses.append(self._step(step))
                self.progress.step = done = step + 1
                if done % self._config.checkpoint_every_steps == 0 and not self.is_done:
                    checkpoint()
        if not all(bool(whole(one).isfinite().all()) for one in self.parameters):
            raise ModelError("the adapter's weights are not all numbers after training", remedy=DIVERGED)
        return self.progress.losses

    def _step(self, step: int) -> float:
        for group, peak in zip(self._groups(), self._peak_rates, strict=True):
            group["lr"] = self._schedule.rate(self.progress.losses, peak)
        torch.manual_seed(derive_seed(self._seed, "step", step))  # a resumed run draws the same dropout
        batch = self._batch(step)
        num_parts = min(self._config.gradient_accumulation, len(batch))
        total = 0.0
        for piece in np.array_split(batch, num_parts):
            share = len(piece) / len(batch)
            part = self._dropout.part = self._team.part(piece.tolist(), self._lengths)
            with self._accelerator.autocast():
                loss = self._shared_loss(part.indices) * (share * part.weight)
                penalty = self._trainee.penalty(step, self.most_steps)
            scaled = loss * self._team.size  # gradients are averaged over the processes, and a batch is their sum
            self._accelerator.backward(scaled if penalty is None else scaled + penalty * share)
            total += self._team.total(loss)
        if not math.isfinite(total):
            raise ModelError(f"the training loss is {total} in step {step + 1} of {self.most_steps}", remedy=DIVERGED)
        self._trainee.before_update()
        self._accelerator.clip_grad_norm_(self.parameters, self._config.max_grad_norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return total

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def _batch(self, step: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the indices of a step: the run is one long sequence of shuffled passes, cut into batches."""
        size, count = self._config.batch_size, len(self._examples)
        draws = range(step * size, (step + 1) * size)
        orders = {epoch: self._order(epoch) for epoch in {draw // count for draw in draws}}
        return np.array([orders[draw // count][draw % count] for draw in draws], dtype=np.int64)

    def _order(self, epoch: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        generator = np.random.default_rng(derive_seed(self._seed, "epoch", epoch))
        if self._groups_alike is not None:
            return np.concatenate(
                [self._groups_alike[group] for group in generator.permutation(len(self._groups_alike))]
            )
        order = generator.permutation(len(self._examples))
        if not self._config.group_by_length:
            return order
        lengths_N = np.array([len(one.ids) for one in self._examples])
        return group_by_length(order, lengths_N, self._config.batch_size, generator)


def first_adapted(adapted: PeftModel) -> int:
    """Return the lowest transformer layer that carries an adapter."""
    layers = adapted.peft_config["default"].layers_to_transform
    return min(layers) if layers else 0
