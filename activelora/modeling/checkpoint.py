"""Checkpoints inside a training step, in the campaign store: a killed pod's successor goes on from there."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator

import torch
from safetensors.torch import load, save
from torch import nn

from activelora.campaign.campaign import Attempt
from activelora.campaign.store import Store
from activelora.modeling.parallel import ALONE, Team, split_like, whole
from activelora.modeling.training import Progress, Trainer

logger = logging.getLogger(__name__)
_PROGRESS = "progress.json"


class Checkpoints:
    """Saves and restores a trainer. One object a checkpoint, so that a reader sees it whole or not at all.

    Two processes that train the same unit compute the same numbers, so either may use the other's checkpoint.

    Args:
        store: The campaign's store.
        attempt: The attempt, for the unit's folder and what it depends on.
        trainer: The trainer.
        name: Tells several trainings of one unit apart.
        team: The processes that train together; the first one reads and writes for all. Any number of processes may
            use the checkpoint of any other number.
    """

    def __init__(self, store: Store, attempt: Attempt, trainer: Trainer, name: str = "", team: Team = ALONE) -> None:
        self._store = store
        self._trainer = trainer
        self._team = team
        self._prefix = f"{_prefix(attempt)}{name}{'-' if name else ''}"

    def save(self) -> None:
        """Write a checkpoint, and remove the one before."""
        progress = self._trainer.progress
        state = json.dumps({"step": progress.step, "losses": progress.losses}).encode()
        tensors = {**self._tensors(), _PROGRESS: torch.frombuffer(bytearray(state), dtype=torch.uint8)}
        if not self._team.leads:
            return
        older = list(self._store.list(self._prefix))
        self._store.write(f"{self._prefix}{progress.step:07d}.safetensors", save(tensors))
        for key in older:
            self._store.delete(key)

    def restore(self) -> None:
        """Bring the trainer to the newest checkpoint, if there is one."""
        content: bytes | None = self._team.agree(self._newest() if self._team.leads else None)
        if content is None:
            return
        tensors = load(content)
        state = json.loads(bytes(tensors.pop(_PROGRESS).tolist()))
        self._load(tensors)
        self._trainer.progress = Progress(state["step"], state["losses"])
        logger.info("training goes on from step %d of %d", state["step"], self._trainer.most_steps)

    def _newest(self) -> bytes | None:
        for key in sorted(self._store.list(self._prefix), reverse=True):
            try:
                return self._store.read(key)
            except KeyError:  # another process has just replaced it
                continue
        return None

    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors = {}
        for index, (parameter, optimizer) in enumerate(self._parameters()):
            tensors[f"{index:05d}.parameter"] = parameter.data
            # In one order in all processes: each tensor is put together from all of them.
            for name, value in sorted(optimizer.state[parameter].items()):
                if value is not None:  # SGD without momentum
                    tensors[f"{index:05d}.optimizer.{name}"] = value
        return {name: whole(tensor).cpu().contiguous() for name, tensor in tensors.items()}

    def _load(self, tensors: dict[str, torch.Tensor]) -> None:
        for index, (parameter, optimizer) in enumerate(self._parameters()):
            parameter.data.copy_(split_like(tensors[f"{index:05d}.parameter"], parameter.data))
            prefix = f"{index:05d}.optimizer."
            state = {name.removeprefix(prefix): tensors[name] for name in tensors if name.startswith(prefix)}
            # Adam keeps its step count on the CPU and the moments beside the parameter.
            optimizer.state[parameter] = {
                name: value if name == "step" else split_like(value, parameter.data) for name, value in state.items()
            }

    def _parameters(self) -> Iterator[tuple[nn.Parameter, torch.optim.Optimizer]]:
        for optimizer in self._trainer.optimizers:
            for group in optimizer.param_groups:
                yield from ((parameter, optimizer) for parameter in group["params"])


def remove_checkpoints(store: Store, attempt: Attempt) -> None:
    """Remove all checkpoints of the attempt's unit."""
    for key in list(store.list(_prefix(attempt))):
        store.delete(key)


def _prefix(attempt: Attempt) -> str:
    depends = json.dumps(attempt.inputs, sort_keys=True).encode()
    return f"{attempt.unit.prefix}/checkpoint-{hashlib.sha256(depends).hexdigest()[:12]}-"
