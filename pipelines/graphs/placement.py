"""Where a task runs: image, processors, memory, nodes, volumes and secrets, from the campaign's `resources`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kfp import dsl, kubernetes

from activelora.config import ModelCacheConfig, ResourcesConfig, StepResources
from activelora.config.secrets import SECRET_KEYS, pods_of
from activelora.modeling.published import CACHE_VARIABLE as MODEL_CACHE_VARIABLE
from activelora.notices import WEBHOOK_VARIABLE
from activelora.rules.parallel import TRAIN_VARIABLE, pod_settings
from components.image import Images
from pipelines.cluster.train_step import JOB_VARIABLE, POD_VARIABLES
from pipelines.graphs.accelerators import AcceleratorParameters
from pipelines.graphs.pods import CACHE_PATH, CACHE_VARIABLES, CONFIG_KEYS, POD_LABELS, QUEUE_LABEL, priority_label
from pipelines.graphs.train_job_spec import job_template

_SAME_NEEDS = {"predict_table": "score_pool"}
"""Pods that need the secrets of others, whom `resources.secret_env` names: both run the model over data."""

_WHOLE_TICK = "whole_tick"
"""The pod that gets the secrets of all steps, as it does their work."""


@dataclass(frozen=True)
class Placement:
    """Puts tasks where the campaign file says.

    Attributes:
        resources: Resources of the campaign.
        images: Images that the pods run.
        in_pods: Whether they are a cluster's. KFP's local runner gives a pod's variables to what runs on this machine.
    """

    resources: ResourcesConfig
    images: Images
    in_pods: bool = True

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
        return self._put(task, self.resources.cpu)

    def train(self, task: dsl.PipelineTask, *accelerators: Any) -> dsl.PipelineTask:
        """Place train_adapter; with an accelerator, where its parameters say.

        With several nodes, a pod that starts a TrainJob and waits needs no accelerator.
        """
        if self.resources.train.num_nodes == 1:
            if self.in_pods:
                task.set_env_variable(TRAIN_VARIABLE, pod_settings(self.resources.train))
            return self._cached(self._put(task, self.resources.train, accelerators))
        self._put(task, self.resources.cpu)
        template = json.dumps(job_template(self.resources, self.images), separators=(",", ":"))
        task.set_env_variable(JOB_VARIABLE, template)
        for name, path in POD_VARIABLES.items():
            kubernetes.use_field_path_as_env(task, env_name=name, field_path=path)
        return task

    def score(self, task: dsl.PipelineTask, *accelerators: Any) -> dsl.PipelineTask:
        """Place score_pool or evaluate_adapter, as :meth:`train`."""
        return self._cached(self._put(task, self.resources.score, accelerators))

    def whole(self, task: dsl.PipelineTask, *accelerators: Any) -> dsl.PipelineTask:
        """Place a whole tick: where training runs, with what all steps get."""
        return self._notified(self.train(task, *accelerators))

    def exit(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Place the task that tells of a run's end: it gets the webhook."""
        return self._notified(self._put(task, self.resources.cpu))

    def labels(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Place await_labels, or `plan`, which collects labels too: they get the webhook, for reminders."""
        self._put(task, self.resources.cpu)
        return self._notified(task)

    def _notified(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        if notify := self.resources.notify:
            kubernetes.use_secret_as_env(
                task, secret_name=notify.secret, secret_key_to_env={notify.key: WEBHOOK_VARIABLE}
            )
        return task

    def _put(self, task: dsl.PipelineTask, wanted: StepResources, accelerators: Sequence[Any] = ()) -> dsl.PipelineTask:
        task.set_caching_options(enable_caching=False)  # the steps' results are in the campaign store, not in KFP
        task.set_container_image(self.images.gpu if wanted.accelerator_type else self.images.cpu)
        task.set_cpu_limit(wanted.cpu)
        task.set_memory_limit(wanted.memory)
        if wanted.accelerator_type:
            _accelerate(task, wanted, AcceleratorParameters(*accelerators) if accelerators else None)
        if not accelerators:
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
            labels[priority_label(labels)] = wanted.priority_class
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
        pod = _SAME_NEEDS.get(pod, pod)
        for variable, source in sorted(self.resources.secret_env.items()):
            if pod == _WHOLE_TICK or pod in pods_of(variable, source):
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
        if self.in_pods and (cache := self.resources.model_cache):
            _mount(task, cache)
            for name, value in CACHE_VARIABLES.items():
                task.set_env_variable(name, value)
            if cache.uri:
                task.set_env_variable(MODEL_CACHE_VARIABLE, cache.uri)
        return task


def _accelerate(task: dsl.PipelineTask, wanted: StepResources, given: AcceleratorParameters | None) -> None:
    """Give a task accelerators and shared memory: those that the run is given, or else the file's."""
    task.set_accelerator_type(given.accelerator if given else wanted.accelerator_type)
    task.set_accelerator_limit(given.count if given else wanted.accelerator_count)
    if given:
        kubernetes.add_node_selector_json(task, given.nodes)
        # Else KFP 2.17 does not hand them into a condition or a loop, and the task refers to what is not there.
        task.register_pipeline_channels([given.accelerator, given.count])
    if wanted.shm:
        kubernetes.empty_dir_mount(
            task,
            volume_name="shm",
            mount_path="/dev/shm",  # noqa: S108
            medium="Memory",
            size_limit=wanted.shm,
        )


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
