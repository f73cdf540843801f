"""What pods ask of nodes, those of a campaign and those that are there, by the rules of Kubernetes' scheduler."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from activelora.config import StepResources

Amounts = dict[str, Decimal]
PODS = "pods"
"""Name of the resource of which every pod takes one."""


def asked(wanted: StepResources) -> Amounts:
    """Return what a step's pod will ask of a node. Its sidecars' little is left out of account."""
    found = {"cpu": Decimal(parse_quantity(wanted.cpu)), "memory": Decimal(parse_quantity(wanted.memory))}
    if wanted.accelerator_type:
        found[wanted.accelerator_type] = Decimal(wanted.accelerator_count)
    return {**found, PODS: Decimal(1)}


def requested_by_node(pods: Iterable[dict[str, Any]]) -> dict[str, Amounts]:
    """Return what pods that have a node and have not ended ask of it, by node and resource.

    Args:
        pods: Pods as Kubernetes lists them, of all namespaces.
    """
    found: dict[str, Amounts] = defaultdict(lambda: defaultdict(Decimal))
    for pod in pods:
        node = pod["spec"].get("nodeName")
        if node and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            for name, amount in requested(pod["spec"]).items():
                found[node][name] += amount
    return {node: dict(amounts) for node, amounts in found.items()}


def requested(spec: Mapping[str, Any]) -> Amounts:
    """Return what a pod asks of a node.

    Containers run side by side, sidecars (initial containers that are restarted) beside them. Initial containers run
    one after the other, each beside the sidecars before it: the larger of both is what counts. What the pod as a
    whole asks for counts instead, and its overhead besides.

    Args:
        spec: Specification of the pod.
    """
    running: Amounts = defaultdict(Decimal)
    largest: Amounts = defaultdict(Decimal)
    for container in spec.get("initContainers") or ():
        own = _amounts(container)
        beside = {name: running[name] + amount for name, amount in own.items()}
        for name, amount in beside.items():
            largest[name] = max(largest[name], amount)
        if container.get("restartPolicy") == "Always":
            running.update(beside)
    for container in spec.get("containers") or ():
        for name, amount in _amounts(container).items():
            running[name] += amount
    found = {name: max(running[name], largest[name]) for name in {*running, *largest}}
    found |= _amounts(spec)
    for name, amount in (spec.get("overhead") or {}).items():
        found[name] = found.get(name, Decimal(0)) + Decimal(parse_quantity(amount))
    return {**found, PODS: Decimal(1)}


def _amounts(container: Mapping[str, Any]) -> Amounts:
    requests = (container.get("resources") or {}).get("requests") or {}
    return {name: Decimal(parse_quantity(amount)) for name, amount in requests.items()}


def shown(name: str, amount: Decimal) -> str:
    """Return an amount of a resource for people: memory in GiB, others as a number."""
    return f"{amount / 2**30:.3g} GiB" if "memory" in name else f"{amount.normalize():f}"
