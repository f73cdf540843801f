"""Does any node of the cluster fit what a campaign asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from activelora.config import ResourcesConfig, StepResources, TolerationConfig
from pipelines.doctor.findings import Finding, failed, ok, warning
from pipelines.doctor.requests import PODS, Amounts, asked, shown

Node = dict[str, Any]
_SHOWN = 3


def check_nodes(
    nodes: list[Node], resources: ResourcesConfig, requested: Mapping[str, Amounts] | None = None
) -> Iterator[Finding]:
    """Yield a finding for each kind of pod, and another where its nodes have no room now.

    Args:
        nodes: Nodes as Kubernetes lists them. An autoscaler may add others.
        resources: The campaign's.
        requested: What pods that are there ask of each node; None leaves them out of account.
    """
    for name in ("cpu", "train", "score"):
        check, wanted = f"nodes for resources.{name}", getattr(resources, name)
        yield _check_kind(check, nodes, wanted, resources, name)
        if requested is not None and (full := _check_room(f"room for resources.{name}", nodes, wanted, requested)):
            yield full


def _check_room(
    check: str, nodes: list[Node], wanted: StepResources, requested: Mapping[str, Amounts]
) -> Finding | None:
    """Tell where a pod fits a node that is empty, and none as they are now."""
    lacks = {
        node["metadata"]["name"]: _lacks(node, wanted, requested.get(node["metadata"]["name"], {}))
        for node in nodes
        if not misfits(node, wanted)
    }
    if not lacks or not all(lacks.values()):
        return None
    first = "; ".join(f"{name} has {', '.join(found)}" for name, found in list(lacks.items())[:_SHOWN])
    more = f"; and {len(lacks) - _SHOWN} more nodes" if len(lacks) > _SHOWN else ""
    return warning(
        check,
        f"a pod fits when a node is empty, not now: {first}{more}",
        "It waits until others end. Or ask for less, or add a node; an autoscaler may.",
    )


def _lacks(node: Node, wanted: StepResources, requested: Amounts) -> list[str]:
    """Return what a node has too little of for one pod more."""
    found = []
    for name, amount in asked(wanted).items():
        left = max(Decimal(0), _allocatable(node, name) - requested.get(name, Decimal(0)))
        if left < amount:
            found.append(f"{shown(name, left)} of {shown(name, amount)} {name}")
    return found


def _check_kind(check: str, nodes: list[Node], wanted: StepResources, resources: ResourcesConfig, name: str) -> Finding:
    reasons = {node["metadata"]["name"]: misfits(node, wanted) for node in nodes}
    fitting = [node for node in nodes if not reasons[node["metadata"]["name"]]]
    if not fitting:
        counted = Counter(reason for found in reasons.values() for reason in found)
        words = "; ".join(f"{reason} ({number})" for reason, number in counted.most_common(4))
        remedy = (
            f"Change resources.{name} (node_selector, tolerations, memory, accelerator_type) or add such a node. "
            "Where an autoscaler adds nodes from nothing, this is as it should be."
        )
        return failed(check, f"none of {len(nodes)} nodes fits: {words}", remedy)
    accelerator = wanted.accelerator_type
    if accelerator is None:
        return ok(check, f"{len(fitting)} of {len(nodes)} nodes fit")
    number = sum(int(_allocatable(node, accelerator)) for node in fitting)
    words = f"{len(fitting)} of {len(nodes)} nodes fit, with {number} × {accelerator}"
    if name == "train" and (pods := resources.train.num_nodes) > 1:
        room = sum(int(_allocatable(node, accelerator)) // wanted.accelerator_count for node in fitting)
        if room < pods:
            remedy = "Lower resources.train.num_nodes, or add nodes. Where an autoscaler does, this is as it should be."
            return failed(check, f"{words}: too few for {pods} pods with {wanted.accelerator_count} each", remedy)
    parallel = resources.parallel_shards * wanted.accelerator_count
    if name == "score" and number < parallel:
        remedy = f"Lower resources.parallel_shards to {number // wanted.accelerator_count}, or let them wait."
        return warning(check, f"{words}; parallel_shards may ask for {parallel}", remedy)
    return ok(check, words)


def misfits(node: Node, wanted: StepResources) -> list[str]:
    """Return why a pod cannot run on a node; empty if it can. What other pods take is left out of account."""
    labels = node["metadata"].get("labels") or {}
    found = [
        f"no label {key}={value}" for key, value in sorted(wanted.node_selector.items()) if labels.get(key) != value
    ]
    spec = node.get("spec") or {}
    if spec.get("unschedulable"):
        found.append("cordoned")
    found += [
        f"taint {taint['key']}={taint.get('value', '')}:{taint['effect']}"
        for taint in spec.get("taints") or ()
        if taint["effect"] in ("NoSchedule", "NoExecute")
        and taint["key"] != "node.kubernetes.io/unschedulable"
        and not any(tolerates(one, taint) for one in wanted.tolerations)
    ]
    amounts = asked(wanted).items()
    return found + [f"too little {name}" for name, number in amounts if _allocatable(node, name) < number]


def tolerates(toleration: TolerationConfig, taint: dict[str, str]) -> bool:
    """Tell whether a toleration covers a taint, by Kubernetes' rules."""
    if toleration.effect is not None and toleration.effect != taint["effect"]:
        return False
    if toleration.key != taint["key"]:
        return False
    return toleration.operator == "Exists" or (toleration.value or "") == taint.get("value", "")


def _allocatable(node: Node, resource: str) -> Decimal:
    default = "Infinity" if resource == PODS else "0"
    amount = ((node.get("status") or {}).get("allocatable") or {}).get(resource, default)
    return Decimal(amount) if amount == default else Decimal(parse_quantity(amount))
