"""Which settings go with training in several processes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from activelora.config.conflict import Conflict
from activelora.config.resources import TrainResources
from activelora.kinds.registry import get_kind

if TYPE_CHECKING:
    from activelora.config.campaign import CampaignConfig


TRAIN_VARIABLE = "ACTIVELORA_TRAIN"
"""Tells a training pod what its pipeline was compiled with, as :func:`pod_settings` writes it."""


def pod_settings(train: TrainResources) -> str:
    """Return what a training pod must know, as JSON. Not the number of its accelerators: that is a run's parameter."""
    settings = {
        "num_processes": train.num_processes,
        "parallel": train.parallel,
        "on_accelerators": train.accelerator_type is not None,
    }
    return json.dumps(settings)


def with_pod_settings(train: TrainResources, given: str) -> TrainResources:
    """Return a campaign's resources as a pod has them: with all the accelerators that it got.

    Args:
        train: Resources that the campaign was created with.
        given: JSON text of :func:`pod_settings`, by the file as it is now.
    """
    now = json.loads(given)
    changed = {"accelerator_type": (train.accelerator_type or "the pod's") if now.pop("on_accelerators") else None}
    return train.model_copy(update={**now, **changed, "accelerator_count": sys.maxsize})


def num_processes(train: TrainResources) -> int:
    """Return the training processes of a pod."""
    return train.num_processes or (train.accelerator_count if train.accelerator_type else 1)


def parallel(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield what keeps a campaign from training in as many processes as it asks for."""
    from activelora.modeling.methods.registry import METHODS

    train = config.resources.train
    size = train.num_nodes * num_processes(train)
    if size == 1:
        return
    kind = get_kind(config.task.kind)
    if kind.compares_answers:
        yield Conflict(
            _cause(train), f"a {kind.name} task trains in one process, and this asks for {size}", "Set it to 1."
        )
    method = METHODS.get(config.adapter.method)
    if method is not None and train.parallel not in method.parallel:
        ways = " or ".join(method.parallel)
        yield Conflict(
            "resources.train.parallel" if ways else _cause(train),
            f"adapter.method `{method.name}` trains "
            + (f"in several processes by {ways} only" if ways else f"in one process, and this asks for {size}"),
            f"Set it to {ways}, or the method to lora." if ways else "Set it to 1, or the method to lora.",
        )
    if train.parallel == "fsdp" and config.model.quantization != "none":
        yield Conflict(
            "resources.train.parallel",
            f"`fsdp` cannot split a base model in {config.model.quantization}",
            "Set it to ddp, or model.quantization to none.",
        )
    if size > config.training.batch_size:
        yield Conflict(
            "training.batch_size",
            f"a batch of {config.training.batch_size} cannot be split over {size} training processes",
            f"Set it to {size} or more, or lower resources.train.{_cause(train).rpartition('.')[2]}.",
        )
    limit = config.resources.pod_timeout_seconds
    if train.num_nodes > 1 and limit is not None and limit < train.job_timeout_seconds:
        yield Conflict(
            "resources.pod_timeout_seconds",
            f"the pod that waits for a training on {train.num_nodes} nodes would end after {limit} s, and the training "
            f"may take {train.job_timeout_seconds} s",
            "Raise it to resources.train.job_timeout_seconds or more, or lower that.",
        )


def _cause(train: TrainResources) -> str:
    """Return the setting that makes them several."""
    if train.num_nodes > 1:
        return "resources.train.num_nodes"
    if train.num_processes is not None:
        return "resources.train.num_processes"
    return "resources.train.accelerator_count"
