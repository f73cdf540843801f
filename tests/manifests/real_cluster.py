"""What a dry run on a real cluster needs: namespaces, which are made for its time, and types, which are not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BUILT_IN = ("v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "policy/v1", "rbac.authorization.k8s.io/v1")


def kubectl(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run kubectl, and return how it ended."""
    return subprocess.run(["kubectl", *arguments], input=text, capture_output=True, text=True, timeout=250, check=False)


def missing_types(found: list[dict]) -> list[str]:
    """Return the types of some resources that the cluster does not know, each as ``apiVersion Kind``."""
    wanted: dict[str, set[str]] = {}
    for one in found:
        if one["apiVersion"] not in BUILT_IN:
            wanted.setdefault(one["apiVersion"], set()).add(one["kind"])
    missing = []
    for version, kinds in wanted.items():
        answer = kubectl("get", "--raw", f"/apis/{version}")
        known = {one["kind"] for one in json.loads(answer.stdout)["resources"]} if answer.returncode == 0 else set()
        missing += [f"{version} {kind}" for kind in sorted(kinds - known)]
    return missing


@contextmanager
def ready_for(found: list[dict]) -> Iterator[None]:
    """Make the namespaces that are not there, and remove them again; skip the test where the cluster lacks types.

    A server-side dry run creates nothing, not even the namespace that the next resource of the same file is in.
    """
    if missing := missing_types(found):
        pytest.skip(
            f"the cluster does not know {', '.join(missing)}: see what the overlay needs in manifests/README.md"
        )
    names = {one["metadata"].get("namespace") for one in found} - {None}
    made = []
    try:
        for name in sorted(names):
            if kubectl("get", "namespace", name).returncode == 0:
                continue
            done = kubectl("create", "namespace", name)
            if done.returncode != 0:
                pytest.skip(f"there is no namespace {name}, and it cannot be made: {done.stderr.strip()}")
            made.append(name)
        yield
    finally:
        for name in made:
            kubectl("delete", "namespace", name, "--timeout=120s")  # the next overlay must not meet one that is going
