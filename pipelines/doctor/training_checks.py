"""Is a cluster ready for a training on several nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from activelora.config import ResourcesConfig
from pipelines.cluster.kube import ForbiddenError, Kube
from pipelines.cluster.train_jobs import API
from pipelines.doctor.findings import Finding, failed, ok, warning
from pipelines.graphs.train_job_spec import RUNTIME

RIGHTS = (
    ("get", "trainjobs", "trainer.kubeflow.org"),
    ("create", "trainjobs", "trainer.kubeflow.org"),
    ("patch", "trainjobs", "trainer.kubeflow.org"),
    ("delete", "trainjobs", "trainer.kubeflow.org"),
    ("list", "pods", ""),
    ("get", "pods/log", ""),
    ("list", "events", ""),
)
"""What the pod that starts a training needs; manifests/components/trainer gives it."""
_INSTALL = "Install Kubeflow Trainer 2.2 or newer (see manifests/README.md), or set resources.train.num_nodes to 1."
_TYPE = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trainjobs.trainer.kubeflow.org"


def check_training(kube: Kube, namespace: str, resources: ResourcesConfig) -> Iterator[Finding]:
    """Yield what is found; nothing where trainings run on one node.

    Args:
        kube: The cluster.
        namespace: Namespace of the pods of runs.
        resources: The campaign's.
    """
    if resources.train.num_nodes == 1:
        return
    version = API.rpartition("/")[2]
    try:
        found = kube.get(_TYPE)
    except ForbiddenError:
        there = kube.get(f"/apis/{API}") is not None
        yield (
            warning("TrainJob", "is there; its fields cannot be looked at", "Trainer must be 2.2 or newer.")
            if there
            else failed("TrainJob", "Kubeflow Trainer is not installed", _INSTALL)
        )
    else:
        yield _check_fields(found, version)
    runtime = kube.get(f"/apis/{API}/clustertrainingruntimes/{RUNTIME}")
    yield (
        ok(f"runtime {RUNTIME}", "is there")
        if runtime is not None
        else failed(f"runtime {RUNTIME}", "is not there", "Install Trainer's runtimes (see manifests/README.md).")
    )
    yield _check_rights(kube, namespace, resources.service_account)


def _check_fields(definition: dict[str, Any] | None, version: str) -> Finding:
    if definition is None:
        return failed("TrainJob", "Kubeflow Trainer is not installed", _INSTALL)
    versions = {one["name"]: one["schema"]["openAPIV3Schema"] for one in definition["spec"]["versions"]}
    if version not in versions:
        return failed("TrainJob", f"has no {version}", _INSTALL)
    fields = versions[version]["properties"]["spec"]["properties"]
    missing = [name for name in ("runtimePatches", "activeDeadlineSeconds") if name not in fields]
    if missing:
        return failed("TrainJob", f"{version} does not have {', '.join(missing)}: Trainer is older than 2.2", _INSTALL)
    return ok("TrainJob", f"{version} is there, with the fields that are used")


def _check_rights(kube: Kube, namespace: str, account: str | None) -> Finding:
    name = account or "pipeline-runner"
    check = f"rights of {name}"
    try:
        missing = [
            f"{verb} {resource}"
            for verb, resource, group in RIGHTS
            if not kube.may(verb, resource, namespace, group, account=name)
        ]
    except ForbiddenError as error:
        return warning(check, f"cannot be looked at: {error.problem}", "Ask an admin to run this check.")
    if missing:
        remedy = "Add manifests/components/trainer to your overlay and apply it."
        return failed(check, f"it may not {', '.join(missing)} in {namespace}", remedy)
    return ok(check, "it may start trainings and follow them")
