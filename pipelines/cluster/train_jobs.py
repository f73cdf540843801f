"""Starts a ``TrainJob`` of Kubeflow Trainer for a training on several nodes, and waits for it.

The job is named after campaign and round: a step that is tried again finds the job that runs, and starts no second one.
It belongs to the pods that wait for it and goes with the last of them; whoever sees its end deletes it.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipelines.cluster.errors import ClusterError
from pipelines.cluster.kube import ForbiddenError, Kube

logger = logging.getLogger(__name__)

Document = dict[str, Any]
API = "trainer.kubeflow.org/v1alpha1"

POLL_SECONDS = 10.0
REMOVAL_SECONDS = 300.0
"""How long an earlier job of the same name may take to disappear."""
_PATIENCE = 30
"""Polls in a row that may go unanswered: API servers are restarted, and the training does not need them."""
_LOG_LINES = 20
_INSTALL = "Install Kubeflow Trainer 2.2 or newer (manifests/README.md), or set resources.train.num_nodes to 1."
_RIGHTS = "Add manifests/components/trainer to your overlay and apply it; `activelora doctor` checks it."


def make_job(template: Document, campaign: str, campaign_uri: str, round_: int) -> Document:
    """Return the job of one round. Its name depends on campaign and round alone: whoever tries again finds it.

    Args:
        template: Template of :func:`pipelines.graphs.train_job_spec.job_template`.
        campaign: The campaign's name.
        campaign_uri: URI of the campaign.
        round_: The round.
    """
    job = copy.deepcopy(template)
    job["metadata"]["name"] = job_name(campaign, campaign_uri, round_)
    job["metadata"]["annotations"] = {"activelora.dev/campaign": campaign_uri, "activelora.dev/round": str(round_)}
    job["spec"]["trainer"]["args"] = [campaign_uri, str(round_), *job["spec"]["trainer"]["args"]]
    return job


def job_name(campaign: str, campaign_uri: str, round_: int) -> str:
    """Return a name that leaves room for what is added to it in the names of pods (63 characters)."""
    digest = hashlib.sha256(f"{campaign_uri}\n{round_}".encode()).hexdigest()[:8]
    return f"activelora-{campaign[:16].strip('-')}-{round_}-{digest}"


class TrainJobError(ClusterError):
    """A training on several nodes failed, or could not be started."""


@dataclass
class TrainJobs:
    """The training jobs of a namespace.

    Attributes:
        kube: The cluster.
        namespace: Namespace that they run in.
        owner: The pod that waits, as an owner reference; None leaves jobs without an owner.
        poll_seconds: Time between two looks.
        removal_seconds: Seconds that an earlier job of the same name may take to disappear.
    """

    kube: Kube
    namespace: str
    owner: Mapping[str, str] | None = None
    poll_seconds: float = POLL_SECONDS
    removal_seconds: float = REMOVAL_SECONDS
    _said: set[str] = field(default_factory=set, init=False)

    def run(self, job: Document) -> None:
        """Start a job, or find it where it runs, and wait until it has ended well. Then it is deleted.

        Ended from outside, this leaves the job: the next run finds it.

        Raises:
            TrainJobError: It could not be started, failed, was deleted or took too long. It is deleted.
            ClusterError: Kubernetes' API does not answer for long. The job is left, and the next run finds it.
        """
        path = f"{self._jobs()}/{job['metadata']['name']}"
        try:
            age = self._start(job, path)
        except TrainJobError:
            raise
        except ClusterError as error:
            raise _not_started(error, f"TrainJob {job['metadata']['name']} in {self.namespace}") from error
        deadline = time.monotonic() + float(job["spec"]["activeDeadlineSeconds"]) - age
        try:
            self._wait(path, deadline)
        except TrainJobError:
            self.kube.delete(path)
            raise
        self.kube.delete(path)

    def remove(self, name: str) -> None:
        """Delete a job that nobody waits for, if it is there."""
        path = f"{self._jobs()}/{name}"
        if self.kube.get(path) is not None:
            self.kube.delete(path)

    def _jobs(self) -> str:
        return f"/apis/{API}/namespaces/{self.namespace}/trainjobs"

    def _start(self, job: Document, path: str) -> float:
        """Have the job running, and return its age in seconds."""
        wanted = {**job, "metadata": {**job["metadata"], "namespace": self.namespace}}
        if self.owner:
            wanted["metadata"]["ownerReferences"] = [dict(self.owner)]
        give_up = time.monotonic() + self.removal_seconds
        while time.monotonic() < give_up:
            found = self.kube.get(path)
            if found is None:
                if self._create(wanted):
                    return 0.0
            elif "deletionTimestamp" in found["metadata"]:
                self._say("an earlier job of this name is being deleted")
                time.sleep(self.poll_seconds)
            elif _condition(found, "Failed"):
                self._say("deleting the failed job of an earlier try")
                self.kube.delete(path)
            else:
                return self._adopt(path, found)
        raise TrainJobError(
            f"an earlier job of this name is not gone after {self.removal_seconds:.0f} s",
            where=path,
            remedy="Look at its finalizers, and at the logs of Kubeflow Trainer.",
        )

    def _create(self, job: Document) -> bool:
        """Create a job; False if there is one of that name by now."""
        name = job["metadata"]["name"]
        try:
            made = self.kube.create(self._jobs(), job)
        except ClusterError as error:
            if error.status == 409:
                return False
            raise
        if made is None:
            raise TrainJobError(
                "the cluster does not know TrainJob",
                where=self._jobs(),
                remedy=_INSTALL,
            )
        trainer = job["spec"]["trainer"]
        logger.info("started TrainJob %s: %d × %d processes", name, trainer["numNodes"], trainer["numProcPerNode"])
        return True

    def _adopt(self, path: str, found: Document) -> float:
        """Wait for a job that an earlier try started: it must not go with that try's pod."""
        logger.info("TrainJob %s runs already: waiting for it", found["metadata"]["name"])
        owners = found["metadata"].get("ownerReferences") or []
        if self.owner and self.owner["uid"] not in [one["uid"] for one in owners]:
            self.kube.patch(path, {"metadata": {"ownerReferences": [*owners, dict(self.owner)]}})
        created = datetime.fromisoformat(found["metadata"]["creationTimestamp"])
        return max(0.0, (datetime.now(UTC) - created).total_seconds())

    def _wait(self, path: str, deadline: float) -> None:
        unanswered = 0
        while True:
            try:
                job = self.kube.get(path)
                self._tell(path, job)
                unanswered = 0
            except ForbiddenError:
                raise
            except ClusterError as error:
                unanswered += 1
                if unanswered >= _PATIENCE:
                    raise
                logger.warning("%s; trying again", error)
                job = {}
            if job is None:
                raise TrainJobError("was deleted while it ran", where=path, remedy="Run the campaign again.")
            if _condition(job, "Complete"):
                return
            if failure := _condition(job, "Failed"):
                raise self._failed(path, failure)
            if time.monotonic() > deadline:
                raise self._too_late(path, job)
            time.sleep(self.poll_seconds)

    def _tell(self, path: str, job: Document | None) -> None:
        """Log what has changed: the job's state, its pods, and warnings about them."""
        if job is None:
            return
        name = path.rpartition("/")[2]
        states = [f"{pod['metadata']['name']} {pod['status'].get('phase', 'Unknown')}" for pod in self._pods(name)]
        self._say(f"{name}: {', '.join([_state(job), *sorted(states)])}")
        try:
            events = self.kube.get(f"/api/v1/namespaces/{self.namespace}/events", fieldSelector="type=Warning")
        except ForbiddenError as error:
            self._say(f"{name}: warnings of the cluster cannot be read: {error.problem}")
            return
        for event in (events or {}).get("items") or ():
            if event["involvedObject"].get("name", "").startswith(name):
                self._say(f"{event['involvedObject']['name']}: {event.get('reason', '')}: {event.get('message', '')}")

    def _say(self, words: str) -> None:
        if words not in self._said:
            self._said.add(words)
            logger.info("%s", words)

    def _pods(self, name: str) -> list[Document]:
        selector = f"jobset.sigs.k8s.io/jobset-name={name}"
        found = self.kube.get(f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=selector)
        pods: list[Document] = (found or {}).get("items") or []
        return pods

    def _failed(self, path: str, condition: Document) -> TrainJobError:
        """Log the ends of the failed pods' logs and return the error."""
        lines: list[str] = []
        for pod in self._pods(path.rpartition("/")[2]):
            if pod["status"].get("phase") != "Failed":
                continue
            pod_name = pod["metadata"]["name"]
            if own := self._last_lines(pod_name):
                lines = own
            for line in own:
                logger.error("%s: %s", pod_name, line)
        last = f"; the last line of its log: {lines[-1].strip()}" if lines else ""
        return TrainJobError(
            f"the training failed ({condition.get('reason', '')}: {condition.get('message', '')}){last}",
            where=path,
            remedy="Fix the cause; the next run starts it again from the last checkpoint.",
        )

    def _last_lines(self, pod: str) -> list[str]:
        """Return the end of a pod's log. What cannot be read, as where no container began, hides no failure."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log"
        try:
            log = self.kube.text(path, tailLines=str(_LOG_LINES))
        except ClusterError as error:
            logger.warning("%s: its log cannot be read: %s", pod, error.problem)
            return []
        return [line for line in (log or "").splitlines() if any(map(str.isalnum, line))]  # not torchrun's rules

    def _too_late(self, path: str, job: Document) -> TrainJobError:
        states = [
            f"{pod['metadata']['name']} is {pod['status'].get('phase', 'Unknown')}"
            for pod in self._pods(path.rpartition("/")[2])
        ]
        return TrainJobError(
            f"has not ended within resources.train.job_timeout_seconds; it is {_state(job)}, "
            f"and {', '.join(states) or 'has no pods'}",
            where=path,
            remedy="Look at quota and nodes (`activelora doctor`), or allow more time. Checkpoints are kept.",
        )


def _not_started(error: ClusterError, where: str) -> TrainJobError:
    """Say what keeps the cluster from starting a job."""
    remedy = f"The cluster's Trainer may be older than the fields that are used. {_INSTALL}"
    if error.status == 403:
        remedy = _RIGHTS
        if "exceeded quota" in error.problem:
            remedy = "Raise the namespace's ResourceQuota, or ask for less in resources.train."
        elif "admission webhook" in error.problem:
            remedy = f"`kubectl get clustertrainingruntimes` must list torch-distributed. {_INSTALL}"
    elif error.status == 0:
        remedy = "Look at the API server; the next run tries again."
    refusal = TrainJobError(f"cannot be started: {error.problem}", where=where, remedy=remedy)
    refusal.status = error.status
    return refusal


def _condition(job: Document, kind: str) -> Document | None:
    """Return a condition of a job, if it is true."""
    conditions: list[Document] = (job.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind and one["status"] == "True"), None)


def _state(job: Document) -> str:
    """Return a job's state in words."""
    for kind in ("Failed", "Complete", "Suspended"):
        if condition := _condition(job, kind):
            return f"{kind} ({condition.get('reason', '')})"
    counts = [
        f"{count} {word}"
        for one in (job.get("status") or {}).get("jobsStatus") or ()
        for word in ("active", "ready", "failed")
        if (count := one.get(word, 0))
    ]
    return f"under way ({', '.join(counts)})" if counts else "under way"
