"""Do a namespace's quotas and limit ranges let a campaign's pods in: Kubernetes refuses a pod that they do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from activelora.config import ResourcesConfig, StepResources
from pipelines.cluster.kube import Kube
from pipelines.doctor.findings import Finding, failed, ok, warning
from pipelines.doctor.objects import items_at
from pipelines.doctor.requests import PODS, asked, shown

_LOWER = "Lower what resources asks for, or ask for more room in the namespace."
_LATER = "Pods are refused until others end; raise it, or let less run at once."


def check_quotas(kube: Kube, namespace: str, resources: ResourcesConfig) -> Iterator[Finding]:
    """Yield what is found of ResourceQuotas and LimitRanges; one line where none stands in the way.

    Args:
        kube: The cluster.
        namespace: Namespace of the pods of runs.
        resources: The campaign's.
    """
    path = f"/api/v1/namespaces/{namespace}"
    quotas, ranges = items_at(kube, f"{path}/resourcequotas"), items_at(kube, f"{path}/limitranges")
    found = [
        *(one for quota in quotas for one in _check_quota(quota, resources)),
        *(one for limits in ranges for one in _check_range(limits, resources)),
    ]
    yield from found
    if not found:
        yield ok("quotas", f"{len(quotas)} quota(s) and {len(ranges)} limit range(s) leave room")


def _check_quota(quota: dict[str, Any], resources: ResourcesConfig) -> Iterator[Finding]:
    check, spec = f"quota {quota['metadata']['name']}", quota["spec"]
    if spec.get("scopes") or spec.get("scopeSelector"):
        yield warning(check, "counts some pods only, and was not weighed", "See: kubectl describe quota.")
        return
    status = quota.get("status") or {}
    hard, used = _amounts(status.get("hard") or spec.get("hard")), _amounts(status.get("used"))
    for name, wanted, number in _kinds(resources):
        counted = _counted(wanted)
        for key in sorted(counted.keys() & hard.keys()):
            left = hard[key] - used.get(key, Decimal(0))
            words = f"{key} is {shown(key, hard[key])}, of which {shown(key, left)} are left"
            needs = f"resources.{name} asks for {shown(key, counted[key])} a pod"
            if counted[key] > hard[key]:
                yield failed(check, f"{words}: {needs}, which is more than there will ever be", _LOWER)
            elif counted[key] > left:
                yield warning(check, f"{words}: {needs}, for which there is no room now", _LATER)
            elif number * counted[key] > left:
                yield warning(check, f"{words}: {needs}, and up to {number} pods run at once", _LATER)


def _check_range(limits: dict[str, Any], resources: ResourcesConfig) -> Iterator[Finding]:
    check = f"limit range {limits['metadata']['name']}"
    for limit in limits["spec"].get("limits") or ():
        if limit.get("type") not in ("Container", "Pod"):
            continue
        largest, smallest = _amounts(limit.get("max")), _amounts(limit.get("min"))
        for name, wanted, _ in _kinds(resources):
            for key, amount in asked(wanted).items():
                needs = f"resources.{name} asks for {shown(key, amount)} {key}"
                if key in largest and amount > largest[key]:
                    words = f"{needs}, and a {limit['type'].lower()} may have {shown(key, largest[key])}"
                    yield failed(check, words, _LOWER)
                elif key in smallest and amount < smallest[key] and limit["type"] == "Container":
                    words = f"{needs}, and a container must have {shown(key, smallest[key])}"
                    yield failed(check, words, f"Raise resources.{name}, or have the limit range changed.")


def _kinds(resources: ResourcesConfig) -> Iterator[tuple[str, StepResources, int]]:
    """Yield each kind of pod, and how many of it run at once."""
    yield "cpu", resources.cpu, 1
    yield "train", resources.train, resources.train.num_nodes
    yield "score", resources.score, resources.parallel_shards


def _counted(wanted: StepResources) -> dict[str, Decimal]:
    """Return what a pod counts for in a quota, under each name that a quota may give it. Limits are requests, too."""
    amounts = asked(wanted)
    pod = amounts.pop(PODS)
    found = {f"{kind}.{name}": amount for kind in ("requests", "limits") for name, amount in amounts.items()}
    return {**found, "cpu": amounts["cpu"], "memory": amounts["memory"], PODS: pod, f"count/{PODS}": pod}


def _amounts(found: Mapping[str, str] | None) -> dict[str, Decimal]:
    return {name: Decimal(parse_quantity(amount)) for name, amount in (found or {}).items()}
