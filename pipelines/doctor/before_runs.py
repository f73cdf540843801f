"""The cheap part of the doctor, for before a run is sent: what its pods would wait for until the run's time is up."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.config import ResourcesConfig
from pipelines.cluster.kube import ForbiddenError, Kube
from pipelines.doctor.findings import Finding, warning
from pipelines.doctor.objects import check_named, check_priorities, check_secrets


def has_namespace(kube: Kube, namespace: str) -> bool:
    """Tell whether the cluster has a namespace; an account that may not look is given the benefit of the doubt."""
    try:
        return kube.get(f"/api/v1/namespaces/{namespace}") is not None
    except ForbiddenError:
        return True


def examine_named(kube: Kube, namespace: str, resources: ResourcesConfig) -> Iterator[Finding]:
    """Yield what is found of the account, the secrets and the other objects that a campaign names.

    A missing secret leaves a pod in CreateContainerConfigError, and Kubeflow says RUNNING all the while.

    Args:
        kube: The cluster.
        namespace: Namespace of the pods of runs.
        resources: The campaign's.

    Raises:
        ClusterError: There was no answer.
    """
    for what, found in (
        ("accounts", check_named(kube, namespace, resources)),
        ("secrets", check_secrets(kube, namespace, resources)),
        ("priorities", check_priorities(kube, resources)),
    ):
        try:
            yield from found
        except ForbiddenError as error:
            yield warning(what, f"cannot be looked at: {error.problem}", "Ask for the role activelora-viewer.")
