"""Several processes that train one adapter: each takes its part of every batch, and all make the same step.

What the processes compute together is what one process computes, but for rounding: the loss is the mean over the whole
batch, however unevenly it is split, and dropout draws one mask for the whole batch, of which each process takes its
rows. accelerate makes the process group, wraps the model for DDP and scales mixed precision. FSDP is torch's own
``fully_shard``: accelerate 1.15 leaves its FSDP plugin out of account on CPUs, without a word.

Letters: B batch, T tokens, D features.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import InitProcessGroupKwargs
from torch import distributed, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from activelora.config.resources import Parallelism
from activelora.moved import find_names

Value = TypeVar("Value")
TIMEOUT = datetime.timedelta(minutes=30)
"""A process that waits longer for the others gives up: the first one may be writing to a slow store meanwhile."""


@dataclass(frozen=True)
class Part:
    """One process's part of some examples that are computed together.

    Attributes:
        indices: Its examples. At least one, for every process must take part in every exchange.
        weight: Its share of the examples; 0 where there were too few, and the one it has counts nothing.
        first: Place of its first example among all.
        num_rows: How many there are in all.
        num_tokens: Length of the longest of all.
    """

    indices: list[int]
    weight: float
    first: int
    num_rows: int
    num_tokens: int


@dataclass(frozen=True)
class Team:
    """The processes that train together.

    Attributes:
        rank: This process, from 0.
        size: How many there are.
        mode: ``ddp``: each holds the whole model. ``fsdp``: each holds a part of every layer, base model included.
    """

    rank: int = 0
    size: int = 1
    mode: Parallelism = "ddp"

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    @property
    def shards(self) -> bool:
        """Whether each process holds a part of the model only."""
        return self.size > 1 and self.mode == "fsdp"

    def agree(self, value: Value | None) -> Value:
        """Return the first process's value in all of them."""
        if self.size == 1:
            return cast(Value, value)
        values = [value if self.leads else None]
        distributed.broadcast_object_list(values, src=0)
        return cast(Value, values[0])

    @contextmanager
    def first_here(self) -> Iterator[None]:
        """Let the first process of each machine go first: what it fetches, the others find. All must come here."""
        if self.size == 1:
            yield
            return
        with PartialState().local_main_process_first():
            yield

    def total(self, value: torch.Tensor) -> float:
        """Return the sum of a scalar over the processes."""
        value = value.detach()
        if self.size > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return float(value)

    def part(self, indices: Sequence[int], lengths: Sequence[int]) -> Part:
        """Return this process's part of some examples: neighbours, as evenly as can be.

        Args:
            indices: The examples.
            lengths: Lengths of all examples, in tokens, by index.
        """
        count = len(indices)
        begin, end = (count * rank // self.size for rank in (self.rank, self.rank + 1))
        longest = max(lengths[index] for index in indices)
        if begin == end:
            return Part(list(indices[:1]), 0.0, 0, count, longest)
        return Part(list(indices[begin:end]), (end - begin) / count, begin, count, longest)

    def wrap(self, module: nn.Module, layers: Sequence[nn.Module], accelerator: Accelerator) -> nn.Module:
        """Return a module whose backward pass averages gradients over the processes.

        Args:
            module: Computes the loss; holds all parameters.
            layers: What FSDP gathers one after another; the rest is gathered at once.
            accelerator: Accelerator of the training run.
        """
        if self.size == 1:
            return module
        if self.mode == "ddp":
            return cast(nn.Module, accelerator.prepare_model(module))
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(accelerator.device.type, (self.size,))
        for layer in layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(module, mesh=mesh)
        return module


ALONE = Team()
"""One process, as everywhere but in distributed training."""


def join(mode: Parallelism) -> Team:
    """Join the processes that torchrun has started beside this one, on GPUs where there are any."""
    timeout = InitProcessGroupKwargs(timeout=TIMEOUT).to_kwargs()
    state = PartialState(cpu=not torch.cuda.is_available(), **timeout)
    return Team(state.process_index, state.num_processes, mode)


def leave() -> None:
    """Leave them, when all is done."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Return all of a tensor of which each process may hold a part. All processes must call it."""
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def split_like(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return a whole tensor, which every process has, as another one is held: on its device, and in part if that is."""
    tensor = tensor.to(like.device)
    if isinstance(like, DTensor):  # nothing is sent: processes may come here with their tensors in different orders
        return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
    return tensor


if not TYPE_CHECKING:  # a checker of types knows the new names only
    __getattr__ = find_names(__name__)
