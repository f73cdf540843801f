"""Where a task runs: image, processors, memory, nodes, volumes and secrets, from the campaign's `resources`."""

from __future__ import annotations

from dataclasses import dataclass

from kfp import dsl, kubernetes

from activelora.config import ModelCacheConfig, ResourcesConfig, StepResources
from activelora.config_secrets import SECRET_KEYS, WEBHOOK_VARIABLE, pods_of
from components.image import Images
from pipelines.cluster.packages import CACHE_PATH

CONFIG_KEYS = ("AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "MLFLOW_TRACKING_URI")
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
QUEUE_PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
PRIORITY_LABEL = "activelora.dev/priority-class"
"""Kubeflow Pipelines has no setting for a pod's priority: the policy in manifests/components/priority goes by this."""
POD_LABELS = {"app.kubernetes.io/part-of": "activelora", "app.kubernetes.io/component": "step"}
"""On every pod of a step; the network policies go by them."""


@dataclass(frozen=True)
class Placement:
    """Puts tasks where the campaign file says.

    Attributes:
        resources: The campaign's.
        images: What the pods run.
    """

    resources: ResourcesConfig
    images: Images

    @staticmethod
    def graph(task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Place a sub-pipeline: it only carries its tasks."""
        return task.set_caching_options(enable_caching=False)

    @property
    def pipeline_config(self) -> dsl.PipelineConfig:
        """How long a run may take, and how long it is kept."""
        return dsl.PipelineConfig(
            active_deadline_seconds=self.resources.run_timeout_seconds,
            ttl_seconds_after_finished=self.resources.run_ttl_seconds,
        )

    def cpu(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Place a step that runs no model."""
        return self._place(task, self.resources.cpu)

    def train(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Place train_adapter."""
        return self._cached(self._place(task, self.resources.train))

    def score(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Place score_pool or evaluate_adapter."""
        return self._cached(self._place(task, self.resources.score))

    def exit(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Place the task that tells of a run's end: it gets the webhook."""
        return self._told(self._place(task, self.resources.cpu))

    def labels(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Place await_labels: it gets the webhook, for reminders, and alone the token of the place where people label."""
        self._place(task, self.resources.cpu)
        return self._told(task)

    def _told(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        if notify := self.resources.notify:
            kubernetes.use_secret_as_env(
                task, secret_name=notify.secret, secret_key_to_env={notify.key: WEBHOOK_VARIABLE}
            )
        return task

    def _place(self, task: dsl.PipelineTask, wanted: StepResources) -> dsl.PipelineTask:
        task.set_caching_options(enable_caching=False)  # the steps' results are in the campaign store, not in KFP
        task.set_container_image(self.images.gpu if wanted.accelerator_type else self.images.cpu)
        task.set_cpu_limit(wanted.cpu)
        task.set_memory_limit(wanted.memory)
        if wanted.accelerator_type:
            task.set_accelerator_type(wanted.accelerator_type)
            task.set_accelerator_limit(wanted.accelerator_count)
            if wanted.shm:
                kubernetes.empty_dir_mount(
                    task,
                    volume_name="shm",
                    mount_path="/dev/shm",  # noqa: S108
                    medium="Memory",
                    size_limit=wanted.shm,
                )
        for key, value in wanted.node_selector.items():
            kubernetes.add_node_selector(task, label_key=key, label_value=value)
        for toleration in wanted.tolerations:
            kubernetes.add_toleration(task, **toleration.model_dump())
        self._mark(task, wanted)
        self._connect(task)
        return task

    def _mark(self, task: dsl.PipelineTask, wanted: StepResources) -> None:
        """Add labels, annotations, the queue and the priority."""
        labels = {**self.resources.pod_labels, **POD_LABELS}
        if self.resources.queue and wanted.accelerator_type:
            labels[QUEUE_LABEL] = self.resources.queue
        if wanted.priority_class:
            labels[QUEUE_PRIORITY_LABEL if QUEUE_LABEL in labels else PRIORITY_LABEL] = wanted.priority_class
        for key, value in labels.items():
            kubernetes.add_pod_label(task, label_key=key, label_value=value)
        for key, value in self.resources.pod_annotations.items():
            kubernetes.add_pod_annotation(task, annotation_key=key, annotation_value=value)
        if self.resources.pod_timeout_seconds:
            kubernetes.set_timeout(task, self.resources.pod_timeout_seconds)

    def _connect(self, task: dsl.PipelineTask) -> None:
        """Give a pod what it reaches the services and the registry with."""
        for secret in self.resources.secrets:
            kubernetes.use_secret_as_env(task, secret_name=secret, secret_key_to_env={key: key for key in SECRET_KEYS})
        pod = task.component_spec.name.replace("-", "_")
        for variable, source in sorted(self.resources.secret_env.items()):
            if pod in pods_of(variable, source):
                names = {source.key or variable: variable}
                kubernetes.use_secret_as_env(task, secret_name=source.name, secret_key_to_env=names)
        if self.resources.config_map:
            kubernetes.use_config_map_as_env(
                task, self.resources.config_map, {key: key for key in CONFIG_KEYS}, optional=True
            )
        if self.resources.image_pull_secrets:
            kubernetes.set_image_pull_secrets(task, list(self.resources.image_pull_secrets))

    def _cached(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Mount a volume for the base model's files."""
        if cache := self.resources.model_cache:
            _mount(task, cache)
            task.set_env_variable("ACTIVELORA_CACHE", f"{CACHE_PATH}/activelora")
            task.set_env_variable("HF_HOME", f"{CACHE_PATH}/huggingface")
        return task


def _mount(task: dsl.PipelineTask, cache: ModelCacheConfig) -> None:
    if cache.claim:
        kubernetes.mount_pvc(task, pvc_name=cache.claim, mount_path=CACHE_PATH)
    else:
        kubernetes.add_ephemeral_volume(
            task,
            volume_name="cache",
            mount_path=CACHE_PATH,
            access_modes=["ReadWriteOnce"],
            size=cache.size,
            storage_class_name=cache.storage_class,
        )
