"""Gives compiled pipelines the same names every time: KFP's compiler numbers equal names in an order that varies.

It goes through protobuf's maps, whose order differs from process to process. A pipeline version is known by the digest
of its content, so that equal content must be equal text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

_NUMBERS = re.compile(r"(-\d+)+$")


def canonical(text: str, change: Callable[[dict[str, Any]], None] | None = None) -> str:
    """Return a compiled pipeline with components and executors numbered in the order of the graph.

    Args:
        text: KFP's YAML: a pipeline with its platform settings, or the Kubernetes resources of one.
        change: Called with the pipeline's specification, to change it; the heading's list of inputs then goes.
    """
    header = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    documents = list(yaml.safe_load_all(text))
    if "apiVersion" in documents[0]:
        versions = [one["spec"] for one in documents if one["kind"] == "PipelineVersion"]
        found = [(version["pipelineSpec"], version.get("platformSpec")) for version in versions]
    else:
        found = [(documents[0], documents[1] if len(documents) > 1 else None)]
    for spec, platform in found:
        _rename(spec, platform)
        if change is not None:
            change(spec)
            header = ""
    return header + yaml.safe_dump_all(documents, sort_keys=True)


def _rename(spec: dict[str, Any], platform: dict[str, Any] | None) -> None:
    names = _names(spec)
    executors = {
        component["executorLabel"]: f"exec-{names[name].removeprefix('comp-')}"
        for name, component in spec["components"].items()
        if "executorLabel" in component
    }
    for dag in (spec["root"]["dag"], *(one["dag"] for one in spec["components"].values() if "dag" in one)):
        for task in dag["tasks"].values():
            task["componentRef"]["name"] = names[task["componentRef"]["name"]]
    for component in spec["components"].values():
        if "executorLabel" in component:
            component["executorLabel"] = executors[component["executorLabel"]]
    spec["components"] = {names[name]: component for name, component in spec["components"].items()}
    _rename_keys(spec["deploymentSpec"], executors)
    for settings in ((platform or {}).get("platforms") or {}).values():
        _rename_keys(settings["deploymentSpec"], executors)


def _rename_keys(deployment: dict[str, Any], executors: dict[str, str]) -> None:
    deployment["executors"] = {executors[label]: one for label, one in deployment["executors"].items()}


def _names(spec: dict[str, Any]) -> dict[str, str]:
    """Return the new name of each component: its base name, numbered by first use, depth first, tasks by name."""
    counts: dict[str, int] = {}
    names: dict[str, str] = {}

    def visit(dag: dict[str, Any]) -> None:
        for _, task in sorted(dag["tasks"].items()):
            name = task["componentRef"]["name"]
            if name in names:
                continue
            base = _NUMBERS.sub("", name)
            counts[base] = counts.get(base, 0) + 1
            names[name] = base if counts[base] == 1 else f"{base}-{counts[base]}"
            if "dag" in spec["components"][name]:
                visit(spec["components"][name]["dag"])

    visit(spec["root"]["dag"])
    return names
