"""A FAKE of Kubeflow Trainer 2.2 behind Kubernetes' API: the endpoints of TrainJobs, their pods, logs and events.

It refuses what the API server refuses with ``fieldValidation=Strict``: fields that trainjob_types.go (v1alpha1) does
not have, names that are no DNS labels, and a name that is taken. What a controller does with a job is a script: the
states that one look after the other finds.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.pipelines.cluster.fake_kubernetes import FakeKubernetes

NAMESPACE = "kubeflow"
JOBS = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{NAMESPACE}/trainjobs"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"

POD = {
    "serviceAccountName": None,
    "volumes": None,
    "imagePullSecrets": None,
    "securityContext": None,
    "nodeSelector": None,
    "affinity": None,
    "tolerations": None,
    "schedulingGates": None,
    "containers": [{"name": None, "env": None, "volumeMounts": None, "securityContext": None}],
    "initContainers": None,
}
SPEC = {
    "runtimeRef": {"name": None, "apiGroup": None, "kind": None},
    "initializer": None,
    "trainer": dict.fromkeys(("image", "command", "args", "env", "numNodes", "resourcesPerNode", "numProcPerNode")),
    "runtimePatches": [
        {
            "manager": None,
            "trainingRuntimeSpec": {
                "template": {
                    "metadata": None,
                    "spec": {
                        "replicatedJobs": [
                            {
                                "name": None,
                                "template": {
                                    "metadata": None,
                                    "spec": {"template": {"metadata": None, "spec": POD}},
                                },
                            }
                        ]
                    },
                }
            },
        }
    ],
    "suspend": None,
    "activeDeadlineSeconds": None,
    "managedBy": None,
}
"""Fields of a TrainJob's spec; None takes anything."""

COMPLETE = {"conditions": [{"type": "Complete", "status": "True", "reason": "JobsCompleted", "message": "done"}]}
FAILED = {"conditions": [{"type": "Failed", "status": "True", "reason": "FailedJobs", "message": "1 job failed"}]}
QUEUED = {"conditions": [{"type": "Suspended", "status": "True", "reason": "Suspended", "message": "waits"}]}
RUNNING: dict = {
    "conditions": [],
    "jobsStatus": [{"name": "node", "active": 2, "ready": 2, "succeeded": 0, "failed": 0}],
}


class FakeTrainer:
    """What the fake holds.

    Attributes:
        jobs: TrainJobs by name.
        created: Those that were created, in order.
        script: Statuses that one look after the other finds; the last one stays.
        installed: Whether the cluster has the type.
        refusal: Status and message of every POST, where there is one.
        broken: How many of the next requests get no sensible answer (500).
        removal_looks: How many looks still find a job that was deleted.
        on_create: Called with a new job.
        pods: Pods of all jobs: phase and log. A log of None is refused, as of a container that never started.
        events: Warnings.
    """

    def __init__(self, kubernetes: FakeKubernetes) -> None:
        self.jobs: dict[str, dict] = {}
        self.created: list[dict] = []
        self.script: list[dict] = [{}, RUNNING, COMPLETE]
        self.installed = True
        self.refusal: tuple[int, str] | None = None
        self.broken = 0
        self.removal_looks = 0
        self.on_create: Callable[[dict], None] = lambda job: None
        self.pods: dict[str, tuple[str, str | None]] = {}
        self.events: list[dict] = []
        self._looks: dict[str, int] = {}
        kubernetes.extension = self.answer

    def put(self, name: str, status: dict, **metadata: Any) -> None:
        """Have a job there that somebody else has made."""
        made = {"name": name, "uid": "1", "creationTimestamp": _now(), **metadata}
        self.jobs[name] = {"metadata": made, "status": status}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any] | None:
        if path.startswith(JOBS) and self.broken:
            self.broken -= 1
            return 500, _status(500, "etcdserver: request timed out")
        if path.startswith(JOBS) and not self.installed:
            return 404, _status(404, "the server could not find the requested resource")
        if path == JOBS and method == "POST":
            return self._create(json.loads(body))
        if path.startswith(f"{JOBS}/"):
            return self._job(method, path.rpartition("/")[2], body)
        if path == PODS:
            return 200, {
                "items": [
                    {"metadata": {"name": name}, "status": {"phase": phase}} for name, (phase, _) in self.pods.items()
                ]
            }
        if path.startswith(f"{PODS}/") and path.endswith("/log"):
            log = self.pods[path.split("/")[-2]][1]
            return (400, _status(400, "container node is waiting to start")) if log is None else (200, log)
        if path == EVENTS:
            return 200, {"items": self.events}
        return None

    def _create(self, job: dict) -> tuple[int, Any]:
        if self.refusal:
            return self.refusal[0], _status(*self.refusal)
        name = job["metadata"]["name"]
        if unknown := unknown_fields(job["spec"], SPEC, "spec"):
            return 400, _status(400, f"strict decoding error: unknown field {unknown[0]!r}")
        if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) or len(name) > 63:
            return 422, _status(422, f"{name}: must match RFC 1035 DNS label format")
        if name in self.jobs:
            return 409, _status(409, f'trainjobs.trainer.kubeflow.org "{name}" already exists')
        made = {**job["metadata"], "uid": uuid.uuid4().hex, "creationTimestamp": _now()}
        self.jobs[name] = {**job, "metadata": made, "status": {}}
        self.created.append(self.jobs[name])
        self._looks[name] = 0
        self.on_create(self.jobs[name])
        return 201, self.jobs[name]

    def _job(self, method: str, name: str, body: bytes) -> tuple[int, Any]:
        job = self.jobs.get(name)
        if job is None:
            return 404, _status(404, f'trainjobs.trainer.kubeflow.org "{name}" not found')
        if method == "PATCH":
            job["metadata"] |= json.loads(body)["metadata"]
        elif method == "DELETE":
            job["metadata"]["deletionTimestamp"] = _now()
            if not self.removal_looks:
                del self.jobs[name]
        elif "deletionTimestamp" in job["metadata"]:
            self.removal_looks -= 1
            if self.removal_looks <= 0:
                del self.jobs[name]
        elif name in self._looks:
            job["status"] = self.script[min(self._looks[name], len(self.script) - 1)]
            self._looks[name] += 1
        return 200, job


def unknown_fields(value: Any, schema: Any, path: str) -> list[str]:
    """Return the fields that a schema does not have."""
    if isinstance(schema, list):
        return [found for one in value for found in unknown_fields(one, schema[0], path)]
    if not isinstance(schema, dict):
        return []
    found = [f"{path}.{key}" for key in value if key not in schema]
    for key, one in value.items():
        found += unknown_fields(one, schema.get(key), f"{path}.{key}")
    return found


def _status(code: int, message: str) -> dict:
    return {"kind": "Status", "status": "Failure", "message": message, "code": code}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
