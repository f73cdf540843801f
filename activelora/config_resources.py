"""The `resources` section of a campaign file: what the steps ask of a cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat

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


class ModelCacheConfig(Section):
    """A volume for the base model's files, so that they are not fetched into a pod's own disk."""

    claim: str | None = None
    """An existing PersistentVolumeClaim (ReadWriteMany, where pods run at the same time): the model is fetched
    once. None makes an empty volume for each pod, which goes with it."""
    size: str = "20Gi"
    """Size of a pod's own volume."""
    storage_class: str | None = None
    """Of a pod's own volume. None is the cluster's default."""


class NotifyConfig(Section):
    """Who is told when a run ends, and reminded of labels by `labeling.remind_hours`."""

    secret: str
    """Name of the Kubernetes secret that holds the webhook's URL."""
    key: str = "WEBHOOK_URL"
    """Its key. The URL gets JSON with the keys `text`, `campaign` and `state`; at the end of a run `error` too, and in
    reminders `round`, `num_open` and `deadline`."""


Seconds = Annotated[int, Field(ge=60, le=2_147_483_647)]
_GPU = StepResources(cpu="4", memory="32Gi", accelerator_type="nvidia.com/gpu")


class ResourcesConfig(Section):
    """What the steps ask of the cluster. Runs on this machine read `trunk_cache_gb` alone."""

    trunk_cache_gb: NonNegativeFloat = 4.0
    """With `adapter.last_layers`: space in the cache folder, in 10⁹ bytes, for what the frozen layers below made of the
    texts, so that later rounds need not run them again. 0 keeps nothing. Never changes a result."""
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
    label_studio_secret: str | None = None
    """Name of the Kubernetes secret with the key LABEL_STUDIO_API_KEY, given to await_labels alone."""
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
