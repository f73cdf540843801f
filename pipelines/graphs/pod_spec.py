"""Parts of a pod as Kubernetes has them, for pods that Kubeflow Pipelines does not make."""

from __future__ import annotations

from activelora.config.resources import ModelCacheConfig, ResourcesConfig, StepResources
from activelora.config.secrets import SECRET_KEYS, SecretKeyConfig
from activelora.modeling.published import CACHE_VARIABLE as MODEL_CACHE_VARIABLE
from pipelines.cluster.train_jobs import Document
from pipelines.graphs.pods import CACHE_PATH, CACHE_VARIABLES, CONFIG_KEYS

POD_SECURITY: Document = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY: Document = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def environment(
    resources: ResourcesConfig, secret_env: dict[str, SecretKeyConfig], cache: ModelCacheConfig | None
) -> dict[str, Document]:
    """Return a container's variables by name, each with its value or its source.

    Args:
        resources: Resources of the campaign.
        secret_env: Those of `resources.secret_env` that the pod gets.
        cache: Volume for the base model; None for a pod without one.
    """
    found: dict[str, Document] = {}
    for secret in resources.secrets:
        found |= {key: secret_key(secret, key) for key in SECRET_KEYS}
    for variable, source in sorted(secret_env.items()):
        found[variable] = secret_key(source.name, source.key or variable)
    if resources.config_map:
        for key in CONFIG_KEYS:
            reference = {"name": resources.config_map, "key": key, "optional": True}
            found[key] = {"valueFrom": {"configMapKeyRef": reference}}
    if cache:
        found |= {key: {"value": value} for key, value in CACHE_VARIABLES.items()}
        if cache.uri:
            found[MODEL_CACHE_VARIABLE] = {"value": cache.uri}
    return found


def secret_key(name: str, key: str) -> Document:
    """Return a variable's source: a key of a secret."""
    return {"valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


def volumes(wanted: StepResources, cache: ModelCacheConfig | None) -> tuple[list[Document], list[Document]]:
    """Return a pod's volumes, and where they are mounted: shared memory, and the base model's files.

    Args:
        wanted: Resources of the pod.
        cache: Volume for the base model; None for a pod without one.
    """
    found: list[Document] = []
    mounts: list[Document] = []
    if wanted.accelerator_type and wanted.shm:
        found.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": wanted.shm}})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108
    if cache is None:
        return found, mounts
    mounts.append({"name": "cache", "mountPath": CACHE_PATH})
    if cache.claim:
        found.append({"name": "cache", "persistentVolumeClaim": {"claimName": cache.claim}})
        return found, mounts
    claim: Document = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": cache.size}}}
    if cache.storage_class:
        claim["storageClassName"] = cache.storage_class
    found.append({"name": "cache", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}})
    return found, mounts
