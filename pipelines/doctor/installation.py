"""What Argo and Kubeflow Pipelines are installed: their versions, and how long Argo waits between two pods."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pipelines.cluster.kube import Kube
from pipelines.doctor.container_registry import parse_image
from pipelines.doctor.findings import Finding, failed, ok, warning

TRIED = {"ml-pipeline": ("Kubeflow Pipelines", "2.17"), "workflow-controller": ("Argo Workflows", "4.0")}
"""Deployment to its product, and the version that campaigns ran with on a cluster."""
REQUEUE_VARIABLE = "DEFAULT_REQUEUE_TIME"
DEFAULT_REQUEUE_SECONDS = 10.0
SHORT_REQUEUE_SECONDS = 2.0
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SKEW_SECONDS, _REFUSED_SECONDS = 5.0, 900.0


def check_installation(kube: Kube, namespace: str) -> Iterator[Finding]:
    """Yield the versions of Argo and Kubeflow Pipelines beside those tried, and Argo's requeue time.

    Args:
        kube: The cluster.
        namespace: Namespace of the pods of runs; a single-user Kubeflow is there too.
    """
    for deployment, (product, tried) in TRIED.items():
        where, found = _deployment(kube, deployment, namespace)
        if found is None:
            yield warning(
                f"version of {product}", f"there is no deployment {deployment} in {where}", "Look at it there."
            )
            continue
        container = found["spec"]["template"]["spec"]["containers"][0]
        yield _check_version(product, tried, container["image"])
        if deployment == "workflow-controller":
            yield _check_requeue_time(container, where)


def _deployment(kube: Kube, name: str, namespace: str) -> tuple[str, dict[str, Any] | None]:
    """Return a deployment and its namespace; without one, the namespaces that were looked at."""
    namespaces = list(dict.fromkeys((namespace, "kubeflow", "argo")))
    for one in namespaces:
        if (found := kube.get(f"/apis/apps/v1/namespaces/{one}/deployments/{name}")) is not None:
            return one, found
    return ", ".join(namespaces), None


def _check_version(product: str, tried: str, image: str) -> Finding:
    check, tag = f"version of {product}", parse_image(image).reference
    version = re.match(r"v?(\d+\.\d+)(?:\.\d+)?", tag)
    if version is None:
        return warning(check, f"{image} does not tell it", f"Campaigns ran with {tried}.")
    if version[1] != tried:
        return warning(
            check, f"{tag.lstrip('v')}: campaigns ran with {tried} and no other", "Try one in staging first."
        )
    return ok(check, f"{tag.lstrip('v')}, as tried")


def _check_requeue_time(container: dict[str, Any], namespace: str) -> Finding:
    """Say how long Argo may wait from pod to pod, and what less would save. Figures: docs/kubeflow.md."""
    check = "Argo's requeue time"
    environment = {one["name"]: one for one in container.get("env") or ()}
    given: dict[str, Any] = environment.get(REQUEUE_VARIABLE, {})
    if "valueFrom" in given:
        return warning(
            check, f"{REQUEUE_VARIABLE} comes from elsewhere", "Look at it: a tick waits so long for each pod."
        )
    seconds = DEFAULT_REQUEUE_SECONDS if not given else duration_seconds(given.get("value") or "")
    if seconds is None:
        return warning(check, f"{REQUEUE_VARIABLE} {given.get('value')!r} is no duration", "Write it as 2s.")
    words = f"{seconds:g} s{'' if given else ', the default'}"
    if seconds <= SHORT_REQUEUE_SECONDS:
        return ok(check, f"{words}: from one pod to the next a run waits little")
    return warning(
        check,
        f"{words}: from one pod to the next a run waits about so long, whatever it does. With 2 s a pipeline of one "
        "task in a sub-pipeline took 70 s instead of 101 s; 1 s was not tried",
        f"An admin may: kubectl -n {namespace} set env deploy/workflow-controller {REQUEUE_VARIABLE}=2s (Argo "
        "then looks at workflows more often). Nothing is changed here.",
    )


def duration_seconds(text: str) -> float | None:
    """Return the seconds of a duration as Go writes it (``1m30s``, ``500ms``); None if it is none."""
    if text == "0":
        return 0.0
    part = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)"
    if not re.fullmatch(f"(?:{part})+", text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(part, text))


def check_clock(kube: Kube) -> Iterator[Finding]:
    """Compare this machine's clock with the API server's, by the ``Date`` of an answer (whole seconds)."""
    before = datetime.now(UTC)
    server = kube.time()
    after = datetime.now(UTC)
    if server is None:
        yield warning("clock", "the API server does not tell its time", "Compare the clocks yourself.")
        return
    middle = before + (after - before) / 2
    seconds = (middle - server).total_seconds() - 0.5  # its Date is cut to the second
    unsure = (after - before).total_seconds() / 2 + 0.5
    if abs(seconds) - unsure <= _SKEW_SECONDS:
        yield ok("clock", "this machine's and the API server's agree to some seconds")
        return
    words = f"this machine's is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the API server's"
    remedy = "Set both by NTP. Deadlines of labels are told by clocks, and S3 refuses requests that are 15 minutes off."
    yield (failed if abs(seconds) >= _REFUSED_SECONDS else warning)("clock", words, remedy)
