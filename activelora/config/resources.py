"""The `resources` section of a campaign file: what the steps ask of a cluster."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, field_validator, model_validator
from pydantic_core.core_schema import ValidationInfo

from activelora.config.secrets import ObjectName, SecretKeyConfig, check_secret_env
from activelora.config.section import Positive, Section


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
    priority_class: ObjectName | None = None
    """How important the pod is. Where it waits in `resources.queue`, the name of a WorkloadPriorityClass of Kueue;
    elsewhere of a PriorityClass of Kubernetes, which `manifests/components/priority` puts on the pod, as Kubeflow
    Pipelines cannot. None is the cluster's default."""


Parallelism = Literal["ddp", "fsdp"]
Seconds = Annotated[int, Field(ge=60, le=2_147_483_647)]


class TrainResources(StepResources):
    """What train_adapter asks for.

    Several processes share each step's batch: the result is that of one with `training.packing: false`, but for
    rounding. One that packs, as by default, draws dropout otherwise.
    """

    num_nodes: Positive = 1
    """Above 1 the training runs on that many pods, each with the `cpu`, `memory` and accelerators given here, as a
    `TrainJob` of Kubeflow Trainer (2.2 or newer). The step's own pod then starts it and waits, on `resources.cpu`.
    Runs on this machine train on this machine, whatever the number."""
    num_processes: Positive | None = None
    """Training processes of a pod, or of this machine. None is one for each accelerator (`accelerator_count`), as far
    as there are that many, and one where there is none. Several processes on CPUs must be asked for."""
    parallel: Parallelism = "ddp"
    """Way of training in several processes. `ddp`: each holds the whole model; faster. `fsdp`: each holds a part of
    every layer, for models that do not fit one accelerator; `adapter.method: lora` only."""
    job_timeout_seconds: Seconds = 86_400
    """Time limit of a training on several nodes, waiting for nodes included: after it the training is stopped and its
    step fails."""


class ModelCacheConfig(Section):
    """Where pods have the base model: on a volume, not their own disk; from an object store, not the model hub."""

    uri: Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]+")] | None = None
    """`s3://bucket/prefix` with published models. The first run publishes there what it fetches from the hub, and
    `activelora submit` the built-in model, which pods cannot fetch otherwise. With no `model.revision` it stays what
    the hub had then. None asks the hub from every pod."""
    claim: str | None = None
    """An existing PersistentVolumeClaim (ReadWriteMany, where pods run at the same time): the model is fetched
    once. None makes an empty volume for each pod, which goes with it."""
    size: str = "20Gi"
    """Size of a pod's own volume."""
    storage_class: str | None = None
    """Storage class of a pod's own volume. None is the cluster's default."""


class NotifyConfig(Section):
    """Who is told when a run ends, and reminded of labels by `labeling.remind_hours`."""

    secret: str
    """Name of the Kubernetes secret that holds the webhook's URL."""
    key: str = "WEBHOOK_URL"
    """Its key. The URL gets JSON with the keys `text`, `campaign` and `state`; at the end of a run `error` too, and in
    reminders `round`, `num_open` and `deadline`."""


_GPU = StepResources(cpu="4", memory="32Gi", accelerator_type="nvidia.com/gpu")
_TRAIN = TrainResources(cpu="4", memory="32Gi", accelerator_type="nvidia.com/gpu")


class ResourcesConfig(Section):
    """What the steps ask of the cluster. Runs on this machine read `trunk_cache_gb` and the processes of `train`."""

    trunk_cache_gb: NonNegativeFloat = 4.0
    """Space in the cache folder, in 10⁹ bytes, for what the layers that `adapter.last_layers` leaves frozen made of the
    texts, so that later rounds need not run them again. 0 keeps nothing. Never changes a result."""
    cpu: StepResources = StepResources()
    """ingest_pool, select_batch, await_labels."""
    train: TrainResources = _TRAIN
    """train_adapter."""
    score: StepResources = _GPU
    """score_pool and evaluate_adapter."""
    parallel_shards: Positive = 4
    """How many pods score the pool at the same time. Each takes a share of the shards, one after another."""
    graph: Literal["steps", "fused"] = "steps"
    """What a tick is on Kubeflow. `steps`: each step is a pod of its own, with what it asks for. `fused`: one pod with
    the resources of `train` does all of them, which saves the minutes that pods wait for each other, and holds the
    accelerator for the whole tick; for campaigns whose steps need the same machine. Never changes a result."""
    secrets: tuple[str, ...] = ()
    """Names of Kubernetes secrets with keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, given to every
    pod. Names only: values never go into this file."""
    secret_env: dict[str, SecretKeyConfig] = Field(default={})
    """Other secrets, by the variable that a pod finds them in: `HF_TOKEN: {name: activelora-hub}`. Only the pods that
    need one get it. Names only: values never go into this file."""
    config_map: str | None = None
    """Name of a Kubernetes ConfigMap with keys AWS_ENDPOINT_URL_S3, AWS_DEFAULT_REGION and
    MLFLOW_TRACKING_URI, given to every pod. Keys that it lacks are left out."""
    service_account: str | None = None
    """Kubernetes service account of the pods. None is Kubeflow's default."""
    image_pull_secrets: tuple[str, ...] = ()
    """Names of Kubernetes secrets for a private image registry."""
    model_cache: ModelCacheConfig | None = None
    """Volume for the base model on the pods of `train` and `score`. None is the pod's /tmp."""
    queue: str | None = None
    """Kueue queue that pods with an accelerator wait in. None is no queue."""
    pod_labels: dict[str, str] = Field(default={})
    """Labels on every pod, for example for cost reports."""
    pod_annotations: dict[str, str] = Field(default={})
    """Annotations on every pod."""
    pod_timeout_seconds: Seconds | None = None
    """A pod that takes longer is stopped and its step fails. None is no limit."""
    run_timeout_seconds: Seconds | None = None
    """A run that takes longer is stopped. None is no limit."""
    run_ttl_seconds: Seconds | None = None
    """How long Kubernetes keeps a run's workflow and pods after its end. None is the cluster's own choice."""
    notify: NotifyConfig | None = None
    """Sends a message when a run ends, well or not. None sends none."""

    @model_validator(mode="after")
    def _one_pod_trains(self) -> Self:
        if self.graph == "fused" and self.train.num_nodes > 1:
            nodes = self.train.num_nodes
            raise ValueError(f"graph: fused is one pod, and train.num_nodes {nodes} is {nodes}: use graph: steps")
        return self

    @field_validator("secret_env")
    @classmethod
    def _can_be_given(cls, value: dict[str, SecretKeyConfig], info: ValidationInfo) -> dict[str, SecretKeyConfig]:
        check_secret_env(value, has_s3_secrets=bool(info.data.get("secrets")))
        return value
