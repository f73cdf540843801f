"""The pods of an Argo workflow: for each step a template of a container, placed as the campaign's `resources` say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from activelora.config.resources import ResourcesConfig, StepResources
from activelora.config.secrets import SecretKeyConfig, pods_of
from activelora.notices import WEBHOOK_VARIABLE
from activelora.rules.parallel import TRAIN_VARIABLE, pod_settings
from components.image import Images
from pipelines.cluster.train_jobs import Document
from pipelines.cluster.train_step import JOB_VARIABLE, POD_VARIABLES
from pipelines.graphs.pod_spec import CONTAINER_SECURITY, environment, secret_key, volumes
from pipelines.graphs.pods import POD_LABELS, QUEUE_LABEL, priority_label
from pipelines.graphs.steps import ResourceClass
from pipelines.graphs.train_job_spec import job_template

CAMPAIGN_PARAMETER = "campaign-uri"
"""Name of the workflow's parameter."""
OUTPUTS = "/tmp/outputs"  # noqa: S108 - in a pod
"""Folder in which a step writes a file for each output."""
RETRY: Document = {"limit": "2", "retryPolicy": "OnError", "backoff": {"duration": "30s", "factor": "2"}}
"""A pod that was deleted, or that could not be made, is made anew, as Kubeflow Pipelines' own install has it. A step
that failed is not: the next tick goes on where it was."""


@dataclass(frozen=True)
class Pod:
    """One pod.

    Attributes:
        name: Name of its template: the step's, with hyphens.
        resource_class: Kind of pod, as in :class:`~pipelines.graphs.placement.Placement`.
        command: What it runs.
        arguments: Its arguments.
        outputs: Names of what it writes into :data:`OUTPUTS`.
    """

    name: str
    resource_class: ResourceClass | Literal["whole", "exit"]
    command: tuple[str, ...] = ("python3", "-m", "components.run_step")
    arguments: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def starts_a_job(self, resources: ResourcesConfig) -> bool:
        """Whether it starts a training on several nodes, and does none itself."""
        return self.resource_class == "train" and resources.train.num_nodes > 1

    def wanted(self, resources: ResourcesConfig) -> StepResources:
        """Return what it asks for."""
        if self.resource_class in ("train", "whole") and not self.starts_a_job(resources):
            return resources.train
        return resources.score if self.resource_class == "score" else resources.cpu

    def runs_the_model(self, resources: ResourcesConfig) -> bool:
        """Whether it gets a volume for the base model."""
        return self.resource_class in ("train", "score", "whole") and not self.starts_a_job(resources)

    def secrets(self, resources: ResourcesConfig) -> dict[str, SecretKeyConfig]:
        """Return those of `resources.secret_env` that it gets."""
        step, all_ = self.name.replace("-", "_"), self.resource_class == "whole"
        return {name: one for name, one in resources.secret_env.items() if all_ or step in pods_of(name, one)}


def container_template(pod: Pod, resources: ResourcesConfig, images: Images) -> Document:
    """Return the template of a pod."""
    wanted = pod.wanted(resources)
    cache = resources.model_cache if pod.runs_the_model(resources) else None
    found, mounts = volumes(wanted, cache)
    bounds = {"cpu": wanted.cpu, "memory": wanted.memory}
    accelerators = {wanted.accelerator_type: str(wanted.accelerator_count)} if wanted.accelerator_type else {}
    template: Document = {"name": pod.name, "metadata": _metadata(wanted, resources), "retryStrategy": RETRY}
    if pod.outputs:
        template["outputs"] = {
            "parameters": [{"name": name, "valueFrom": {"path": f"{OUTPUTS}/{name}"}} for name in pod.outputs]
        }
    if resources.pod_timeout_seconds:
        template["activeDeadlineSeconds"] = resources.pod_timeout_seconds
    if wanted.priority_class and not _waits_in_queue(wanted, resources):
        template["priorityClassName"] = wanted.priority_class
    if wanted.node_selector:
        template["nodeSelector"] = dict(wanted.node_selector)
    if wanted.tolerations:
        template["tolerations"] = [one.model_dump(exclude_none=True) for one in wanted.tolerations]
    template["volumes"] = [{"name": "tmp", "emptyDir": {}}, *found]
    template["container"] = {
        "image": images.gpu if accelerators else images.cpu,
        "imagePullPolicy": "IfNotPresent",
        "command": list(pod.command),
        "args": list(pod.arguments),
        "env": _environment(pod, resources, images),
        "resources": {"requests": bounds, "limits": {**bounds, **accelerators}},
        "securityContext": {**CONTAINER_SECURITY, "readOnlyRootFilesystem": True, "runAsNonRoot": True},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *mounts],  # noqa: S108
    }
    return template


def _environment(pod: Pod, resources: ResourcesConfig, images: Images) -> list[Document]:
    cache = resources.model_cache if pod.runs_the_model(resources) else None
    found = environment(resources, pod.secrets(resources), cache)
    if resources.notify and pod.resource_class in ("labels", "whole", "exit"):
        found[WEBHOOK_VARIABLE] = secret_key(resources.notify.secret, resources.notify.key)
    if pod.starts_a_job(resources):
        found[JOB_VARIABLE] = {"value": json.dumps(job_template(resources, images), separators=(",", ":"))}
        found |= {name: {"valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in POD_VARIABLES.items()}
    elif pod.resource_class in ("train", "whole"):
        found[TRAIN_VARIABLE] = {"value": pod_settings(resources.train)}
    return [{"name": name, **source} for name, source in found.items()]


def _metadata(wanted: StepResources, resources: ResourcesConfig) -> Document:
    labels = {**resources.pod_labels, **POD_LABELS}
    if _waits_in_queue(wanted, resources):
        labels[QUEUE_LABEL] = str(resources.queue)
        if wanted.priority_class:
            labels[priority_label(labels)] = wanted.priority_class
    annotations = {"annotations": dict(resources.pod_annotations)} if resources.pod_annotations else {}
    return {"labels": labels, **annotations}


def _waits_in_queue(wanted: StepResources, resources: ResourcesConfig) -> bool:
    return bool(resources.queue and wanted.accelerator_type)
