"""The ``TrainJob`` of Kubeflow Trainer 2.2 that trains on several nodes: all of it but the campaign and the round.

Field by field from Trainer's API (``pkg/apis/trainer/v1alpha1/trainjob_types.go``). The runtime ``torch-distributed``,
which Trainer installs, tells torchrun where the other nodes are (``PET_*``).
"""

from __future__ import annotations

from activelora.config.resources import ResourcesConfig
from activelora.config.secrets import pods_of
from activelora.rules.parallel import num_processes
from components.image import Images
from pipelines.cluster.train_jobs import API, Document
from pipelines.graphs.pod_spec import CONTAINER_SECURITY, POD_SECURITY, environment, volumes
from pipelines.graphs.pods import PART_OF, POD_LABELS, QUEUE_LABEL, priority_label

RUNTIME = "torch-distributed"
TRAINER_LABELS = {**POD_LABELS, "activelora.dev/role": "trainer"}
"""Labels of every training pod. A network policy goes by them: these pods, unlike other steps', talk to each other."""
_NODE = "node"
"""Name in the runtime: of its replicated job, and of the container in it."""
_COMMAND = ["python3", "-m", "torch.distributed.run"]


def job_template(resources: ResourcesConfig, images: Images) -> Document:
    """Return the job without campaign and round: what is known when a pipeline is compiled."""
    train = resources.train
    bounds = {"cpu": train.cpu, "memory": train.memory}
    if train.accelerator_type:
        bounds[train.accelerator_type] = str(train.accelerator_count)
    labels = {**resources.pod_labels, **PART_OF}
    if resources.queue and train.accelerator_type:
        labels[QUEUE_LABEL] = resources.queue
        if train.priority_class:
            labels[priority_label(labels)] = train.priority_class
    return {
        "apiVersion": API,
        "kind": "TrainJob",
        "metadata": {"labels": labels},
        "spec": {
            "runtimeRef": {"name": RUNTIME},
            "activeDeadlineSeconds": train.job_timeout_seconds,
            "trainer": {
                "image": images.gpu if train.accelerator_type else images.cpu,
                "command": [*_COMMAND, "-m", "components.train_adapter.worker"],
                "args": ["--parallel", train.parallel],
                "numNodes": train.num_nodes,
                "numProcPerNode": num_processes(train),
                "resourcesPerNode": {"requests": bounds, "limits": dict(bounds)},
                "env": _environment(resources),
            },
            "runtimePatches": [_patch(_pod(resources))],
        },
    }


def job_text(job: Document) -> str:
    """Return a job as YAML, for people."""
    import yaml

    added = ["namespace, owner"] if "name" in job["metadata"] else ["name, namespace, owner, campaign and round"]
    words = f"# What the step that trains will start; it adds {', '.join(added)}.\n"
    return words + str(yaml.safe_dump(job, sort_keys=False))


def _environment(resources: ResourcesConfig) -> list[Document]:
    own = {name: one for name, one in resources.secret_env.items() if "train_adapter" in pods_of(name, one)}
    return [{"name": name, **source} for name, source in environment(resources, own, resources.model_cache).items()]


def _pod(resources: ResourcesConfig) -> Document:
    """Return what is patched into the runtime's pods."""
    found, mounts = volumes(resources.train, resources.model_cache)
    container: Document = {
        "name": _NODE,
        "securityContext": CONTAINER_SECURITY,
    }
    pod: Document = {
        "containers": [container],
        "securityContext": POD_SECURITY,
    }
    if found:
        pod["volumes"], container["volumeMounts"] = found, mounts
    if resources.service_account:
        pod["serviceAccountName"] = resources.service_account
    if resources.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in resources.image_pull_secrets]
    if resources.train.node_selector:
        pod["nodeSelector"] = dict(resources.train.node_selector)
    if resources.train.tolerations:
        pod["tolerations"] = [one.model_dump(exclude_none=True) for one in resources.train.tolerations]
    labels = {**resources.pod_labels, **TRAINER_LABELS}
    if resources.train.priority_class and not (resources.queue and resources.train.accelerator_type):
        labels[priority_label(labels)] = resources.train.priority_class
    metadata: Document = {"labels": labels}
    if resources.pod_annotations:
        metadata["annotations"] = dict(resources.pod_annotations)
    return {"metadata": metadata, "spec": pod}


def _patch(pod: Document) -> Document:
    job = {"name": _NODE, "template": {"spec": {"template": pod}}}
    template = {"spec": {"replicatedJobs": [job]}}
    return {"manager": "activelora.dev/launcher", "trainingRuntimeSpec": {"template": template}}
