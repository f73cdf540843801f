"""What all pods of a campaign have in common, whoever starts them."""

from __future__ import annotations

from collections.abc import Mapping

CONFIG_KEYS = ("AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "MLFLOW_TRACKING_URI")
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
QUEUE_PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
PRIORITY_LABEL = "activelora.dev/priority-class"
"""Kubeflow Pipelines has no setting for a pod's priority: the policy in manifests/components/priority goes by this."""
PART_OF = {"app.kubernetes.io/part-of": "activelora"}
POD_LABELS = {**PART_OF, "app.kubernetes.io/component": "step"}
"""Labels of every pod of a step; the network policies go by them."""
CACHE_PATH = "/cache"
"""Path of the model cache in pods."""
CACHE_VARIABLES = {"ACTIVELORA_CACHE": f"{CACHE_PATH}/activelora", "HF_HOME": f"{CACHE_PATH}/huggingface"}


def priority_label(labels: Mapping[str, str]) -> str:
    """Return the label that names the priority of what has these labels: Kueue's where it waits in a queue."""
    return QUEUE_PRIORITY_LABEL if QUEUE_LABEL in labels else PRIORITY_LABEL
