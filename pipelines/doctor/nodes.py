"""Does any node of the cluster fit what a campaign asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from activelora.config import ResourcesConfig, StepResources, TolerationConfig
from pipelines.doctor.findings import Finding, failed, ok, warning

Node = dict[str, Any]


def check_nodes(nodes: list[Node], resources: ResourcesConfig) -> Iterator[Finding]:
    """Yield a finding for each kind of pod.

    Args:
        nodes: Nodes as Kubernetes lists them. An autoscaler may add others.
        resources: The campaign's.
    """
    for name in ("cpu", "train", "score"):
        yield _check_kind(f"nodes for resources.{name}", nodes, getattr(resources, name), resources, name)


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
    asked = {"cpu": parse_quantity(wanted.cpu), "memory": parse_quantity(wanted.memory)}
    if wanted.accelerator_type:
        asked[wanted.accelerator_type] = Decimal(wanted.accelerator_count)
    return found + [f"too little {name}" for name, number in asked.items() if _allocatable(node, name) < number]


def tolerates(toleration: TolerationConfig, taint: dict[str, str]) -> bool:
    """Tell whether a toleration covers a taint, by Kubernetes' rules."""
    if toleration.effect is not None and toleration.effect != taint["effect"]:
        return False
    if toleration.key != taint["key"]:
        return False
    return toleration.operator == "Exists" or (toleration.value or "") == taint.get("value", "")


def _allocatable(node: Node, resource: str) -> Decimal:
    number = parse_quantity(((node.get("status") or {}).get("allocatable") or {}).get(resource, "0"))
    return Decimal(number)
