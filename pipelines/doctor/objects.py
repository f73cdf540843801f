"""Are the Kubernetes objects that a campaign names there, and do they hold what pods look for in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from activelora.config import ResourcesConfig
from activelora.config.secrets import SECRET_KEYS
from pipelines.cluster.kube import Kube
from pipelines.doctor.findings import Finding, failed, ok, warning
from pipelines.graphs.pods import CONFIG_KEYS

APPLY = "Apply manifests/ (see manifests/README.md)."
PAGE_SIZE = "500"
"""Number of items of a page: as kubectl asks for."""
_POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"


def check_named(kube: Kube, namespace: str, resources: ResourcesConfig) -> Iterator[Finding]:
    """Check service account, volume claim and queue, where the campaign names them."""
    path = f"/api/v1/namespaces/{namespace}"
    if account := resources.service_account:
        there = kube.get(f"{path}/serviceaccounts/{account}") is not None
        yield _there(f"service account {account}", there, APPLY)
    if resources.model_cache and (claim := resources.model_cache.claim):
        found = kube.get(f"{path}/persistentvolumeclaims/{claim}")
        yield _there(f"volume claim {claim}", found is not None, "Make it, or leave model_cache.claim out.")
        if found is not None and "ReadWriteMany" not in found["spec"].get("accessModes", ()):
            yield warning(
                f"volume claim {claim}",
                "is not ReadWriteMany",
                "Pods on several nodes cannot share it: use one that is.",
            )
    if resources.queue:
        names = [one["metadata"]["name"] for one in _queues(kube, namespace)]
        yield _there(f"queue {resources.queue}", resources.queue in names, "Apply manifests/components/kueue.")


def _queues(kube: Kube, namespace: str) -> list[dict[str, Any]]:
    group = kube.get("/apis/kueue.x-k8s.io")
    if group is None:
        return []
    version = group["preferredVersion"]["groupVersion"]
    return items_at(kube, f"/apis/{version}/namespaces/{namespace}/localqueues")


def check_priorities(kube: Kube, resources: ResourcesConfig) -> Iterator[Finding]:
    """Check the priority classes that the campaign names, and the policy without which Kubernetes' have no effect."""
    found: dict[str, set[str]] = {"queue": set(), "pod": set()}
    for one in (resources.cpu, resources.train, resources.score):
        if one.priority_class:
            waits = resources.queue is not None and one.accelerator_type is not None
            found["queue" if waits else "pod"].add(one.priority_class)
    for name in sorted(found["queue"]):
        group = kube.get("/apis/kueue.x-k8s.io")
        version = group["preferredVersion"]["groupVersion"] if group else "kueue.x-k8s.io/v1beta2"
        there = kube.get(f"/apis/{version}/workloadpriorityclasses/{name}") is not None
        yield _there(f"Kueue's priority class {name}", there, "Make that WorkloadPriorityClass, or name another.")
    for name in sorted(found["pod"]):
        there = kube.get(f"/apis/scheduling.k8s.io/v1/priorityclasses/{name}") is not None
        yield _there(f"priority class {name}", there, "Make that PriorityClass, or name another.")
    if found["pod"]:
        there = kube.get(f"{_POLICIES}/activelora-priority") is not None
        yield _there("priority policy", there, "Apply manifests/components/priority (Kubernetes 1.36 or newer).")


def check_secrets(kube: Kube, namespace: str, resources: ResourcesConfig) -> Iterator[Finding]:
    """Look at the names of the keys; the values are not read into any message."""
    named: dict[str, set[str]] = {name: set(SECRET_KEYS) for name in resources.secrets}
    for variable, source in resources.secret_env.items():
        named.setdefault(source.name, set()).add(source.key or variable)
    if resources.notify:
        named.setdefault(resources.notify.secret, set()).add(resources.notify.key)
    wanted = [("secrets", name, tuple(sorted(keys))) for name, keys in named.items()]
    wanted += [("secrets", name, (".dockerconfigjson",)) for name in resources.image_pull_secrets]
    if resources.config_map:
        wanted.append(("configmaps", resources.config_map, CONFIG_KEYS))
    for kind, name, keys in wanted:
        found = kube.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
        check = f"{kind[:-1]} {name}"
        missing = sorted(set(keys) - set((found or {}).get("data") or ()))
        if found is None:
            remedy = f"Make it with the keys {', '.join(keys)}. {APPLY}"
            yield failed(check, f"is not in {namespace}", remedy)
        elif missing and kind == "secrets":
            yield failed(check, f"lacks {', '.join(missing)}", "Add the keys, spelled exactly so.")
        elif missing:
            yield warning(check, f"lacks {', '.join(missing)}", "Right where the cloud's defaults do.")
        else:
            yield ok(check, f"has {', '.join(keys)}")


def items_at(kube: Kube, path: str, **query: str) -> list[dict[str, Any]]:
    """Return the items of a list, of all its pages; none where there is no such list."""
    found: list[dict[str, Any]] = []
    page: dict[str, str] = {}
    while True:
        answer = kube.get(path, limit=PAGE_SIZE, **query, **page) or {}
        found += answer.get("items") or []
        token = (answer.get("metadata") or {}).get("continue")
        if not token:
            return found
        page = {"continue": token}


def _there(check: str, is_there: bool, remedy: str) -> Finding:
    return ok(check, "is there") if is_there else failed(check, "is not there", remedy)
