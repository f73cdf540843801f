"""Overlays as kustomize renders them."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"
OVERLAYS = ("kind", "staging", "production", "multi-user")
WORKLOADS = {"Deployment", "StatefulSet", "Job", "DaemonSet"}


@functools.cache
def build(folder: Path) -> str:
    """Return what kustomize, alone or in kubectl, makes of a folder."""
    if kustomize := shutil.which("kustomize"):
        command = [kustomize, "build", str(folder)]
    elif kubectl := shutil.which("kubectl"):
        command = [kubectl, "kustomize", str(folder)]
    else:
        pytest.skip("neither kustomize nor kubectl is installed")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower(), done.stderr
    return done.stdout


def resources(overlay: str) -> list[dict]:
    """Return an overlay's resources."""
    return [one for one in yaml.safe_load_all(build(MANIFESTS / "overlays" / overlay)) if one]


def name_of(resource: dict) -> str:
    """Return ``Kind/namespace/name``."""
    metadata = resource["metadata"]
    return "/".join(filter(None, (resource["kind"], metadata.get("namespace"), metadata["name"])))


def pods(overlay: str) -> list[tuple[dict, dict]]:
    """Return each workload with its pod's specification."""
    found = []
    for resource in resources(overlay):
        if resource["kind"] in WORKLOADS:
            found.append((resource, resource["spec"]["template"]["spec"]))
    return found


def containers(pod: dict) -> list[dict]:
    """Return a pod's containers, the initial ones first."""
    return [*pod.get("initContainers", ()), *pod["containers"]]


def exceptions(resource: dict) -> dict[str, str]:
    """Return the rules that a resource breaks on purpose, with its reasons."""
    annotations = resource["metadata"].get("annotations") or {}
    prefix = "activelora.dev/exception."
    return {key.removeprefix(prefix): reason for key, reason in annotations.items() if key.startswith(prefix)}
