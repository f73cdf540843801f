"""The `resources` section of a campaign file: what the steps ask of a cluster."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from activelora.config_section import Positive, Section


class TolerationConfig(Section):
    """A Kubernetes toleration."""

    key: str
    """Taint key."""
    operator: Literal["Exists", "Equal"] = "Exists"
    """Whether the value matters."""
    value: str | None = None
    """Taint value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Taint effect; None matches all."""


class StepResources(Section):
    """What a step's pod asks for."""

    cpu: str = "2"
    """CPU limit."""
    memory: str = "8Gi"
    """Memory limit."""
    accelerator_type: str | None = None
    """Resource name of the accelerator, for example `nvidia.com/gpu`. None runs on the CPU image."""
    accelerator_count: Positive = 1
    """How many of them."""
    shm: str | None = "2Gi"
    """Size of /dev/shm on accelerator pods."""
    node_selector: dict[str, str] = Field(default={})
    """Node labels that the pod needs."""
    tolerations: tuple[TolerationConfig, ...] = ()
    """Taints that the pod tolerates."""


_GPU = StepResources(cpu="4", memory="32Gi", accelerator_type="nvidia.com/gpu")


class ResourcesConfig(Section):
    """What the steps ask of the cluster. Runs on this machine ignore it."""

    cpu: StepResources = StepResources()
    """ingest_pool, select_batch, await_labels."""
    train: StepResources = _GPU
    """train_adapter."""
    score: StepResources = _GPU
    """score_pool and evaluate_adapter."""
    parallel_shards: Positive = 4
    """Pool shards scored at the same time, one pod each."""
    secrets: tuple[str, ...] = ()
    """Names of Kubernetes secrets with keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, given to every
    pod. Names only: values never go into this file."""
