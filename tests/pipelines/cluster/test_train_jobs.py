"""Trainings on several nodes, against a fake of Kubeflow Trainer (see fake_trainer)."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from activelora.campaign.manifest import Unit
from activelora.config import ResourcesConfig
from activelora.config.section import DNS_LABEL
from components.image import Images
from pipelines.cluster import train_step
from pipelines.cluster.errors import ClusterError
from pipelines.cluster.kube import Kube
from pipelines.cluster.train_jobs import TrainJobError, TrainJobs, job_name, make_job
from pipelines.graphs.train_job_spec import job_template
from tests.pipelines.cluster.fake_kubernetes import running_fake_kubernetes
from tests.pipelines.cluster.fake_trainer import (
    EVENTS,
    FAILED,
    JOBS,
    NAMESPACE,
    QUEUED,
    RUNNING,
    FakeTrainer,
    unknown_fields,
)
from tests.pipelines.conftest import finish

IMAGES = Images("registry/cpu:1.0", "registry/gpu:1.0")
RESOURCES = {
    "train": {
        "num_nodes": 2,
        "accelerator_type": "nvidia.com/gpu",
        "accelerator_count": 4,
        "memory": "64Gi",
        "parallel": "fsdp",
        "node_selector": {"pool": "a100"},
        "tolerations": [{"key": "gpu", "effect": "NoSchedule"}],
        "priority_class": "activelora-high",
    },
    "secrets": ["s3-keys"],
    "secret_env": {"HF_TOKEN": {"name": "hub"}, "LABEL_STUDIO_API_KEY": {"name": "studio"}},
    "config_map": "places",
    "service_account": "activelora-steps",
    "image_pull_secrets": ["registry"],
    "model_cache": {"claim": "models"},
    "queue": "gpus",
    "pod_labels": {"team": "a"},
}
URI = "s3://bucket/tiny"
POD = {"apiVersion": "v1", "kind": "Pod", "name": "waits", "uid": "pod-1"}


def template(**train):
    changed = {**RESOURCES, "train": {**RESOURCES["train"], **train}}
    return job_template(ResourcesConfig.model_validate(changed), IMAGES)


@pytest.fixture
def kubernetes(tmp_path, monkeypatch):
    with running_fake_kubernetes() as fake:
        monkeypatch.setenv("KUBECONFIG", str(fake.write_kubeconfig(tmp_path)))
        yield fake


@pytest.fixture
def trainer(kubernetes):
    return FakeTrainer(kubernetes)


@pytest.fixture
def jobs(trainer):
    return TrainJobs(Kube(), NAMESPACE, POD, poll_seconds=0.01, removal_seconds=1.0)


@pytest.fixture
def job():
    return make_job(template(), "tiny", URI, 3)


def test_the_job_says_what_the_campaign_says(job):
    spec, trainer = job["spec"], job["spec"]["trainer"]
    assert job["metadata"]["labels"] == {
        "team": "a",
        "app.kubernetes.io/part-of": "activelora",
        "kueue.x-k8s.io/queue-name": "gpus",
        "kueue.x-k8s.io/priority-class": "activelora-high",
    }
    assert spec["runtimeRef"] == {"name": "torch-distributed"}
    assert trainer["image"] == "registry/gpu:1.0"
    assert trainer["command"] == ["python3", "-m", "torch.distributed.run", "-m", "components.train_adapter.worker"]
    assert trainer["args"] == [URI, "3", "--parallel", "fsdp"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 4)
    assert trainer["resourcesPerNode"]["limits"] == {"cpu": "2", "memory": "64Gi", "nvidia.com/gpu": "4"}
    sources = {one["name"]: one for one in trainer["env"]}
    assert sources["AWS_SECRET_ACCESS_KEY"]["valueFrom"]["secretKeyRef"] == {
        "name": "s3-keys",
        "key": "AWS_SECRET_ACCESS_KEY",
    }
    assert sources["HF_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "hub", "key": "HF_TOKEN"}
    assert sources["AWS_DEFAULT_REGION"]["valueFrom"]["configMapKeyRef"]["optional"] is True
    assert sources["HF_HOME"]["value"] == "/cache/huggingface"
    assert "LABEL_STUDIO_API_KEY" not in sources  # of another step


def test_the_pods_of_the_job(job):
    (patch,) = job["spec"]["runtimePatches"]
    (node,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = node["template"]["spec"]["template"]
    assert node["name"] == "node"
    assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "step"
    assert pod["spec"]["serviceAccountName"] == "activelora-steps"
    assert pod["spec"]["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["spec"]["nodeSelector"] == {"pool": "a100"}
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert mounted == {"shm": "/dev/shm", "cache": "/cache"}
    assert {"shm", "cache"} == {one["name"] for one in pod["spec"]["volumes"]}


def test_a_cpu_job_asks_for_no_accelerator():
    found = job_template(ResourcesConfig.model_validate({"train": {"num_nodes": 2, "num_processes": 3}}), IMAGES)
    trainer = found["spec"]["trainer"]
    assert trainer["image"] == "registry/cpu:1.0"
    assert trainer["numProcPerNode"] == 3
    assert trainer["resourcesPerNode"]["limits"] == {"cpu": "2", "memory": "8Gi"}
    assert trainer["env"] == []


def test_names_differ_by_campaign_and_round_only():
    name = job_name("a-very-long-name-of-a-campaign-indeed", URI, 12)
    assert re.fullmatch(DNS_LABEL, name)  # no dots, of which Kubernetes would warn
    assert name == job_name("a-very-long-name-of-a-campaign-indeed", URI, 12)
    assert len({name, job_name("tiny", URI, 12), job_name("tiny", URI, 13), job_name("tiny", f"{URI}2", 12)}) == 4
    assert len(f"{name}-node-0-0-abcde") <= 63


def test_a_job_is_started_followed_and_deleted(jobs, trainer, kubernetes, job, caplog):
    caplog.set_level(logging.INFO)
    trainer.pods = {"activelora-tiny-3-node-0-0": ("Pending", "")}
    pod = {"name": f"{job['metadata']['name']}-node-0-0"}
    trainer.events = [{"involvedObject": pod, "reason": "FailedScheduling", "message": "Insufficient nvidia.com/gpu"}]
    trainer.script = [{}, QUEUED, RUNNING, RUNNING, {"conditions": [{"type": "Complete", "status": "True"}]}]
    jobs.run(job)
    assert trainer.jobs == {}
    (made,) = trainer.created
    assert made["metadata"]["ownerReferences"] == [POD]
    assert made["metadata"]["namespace"] == NAMESPACE
    assert f"POST {JOBS}?fieldValidation=Strict" in kubernetes.requests
    assert f"DELETE {JOBS}/{job['metadata']['name']}?propagationPolicy=Background" in kubernetes.requests
    lines = [record.getMessage() for record in caplog.records]
    assert sum("FailedScheduling: Insufficient nvidia.com/gpu" in line for line in lines) == 1
    assert sum("under way (2 active, 2 ready)" in line for line in lines) == 1
    assert any("Suspended" in line for line in lines)
    assert any("activelora-tiny-3-node-0-0 Pending" in line for line in lines)


def test_a_retry_finds_the_job_that_runs(jobs, trainer, job):
    name = job["metadata"]["name"]
    trainer.put(name, RUNNING, ownerReferences=[{**POD, "uid": "pod-0"}])
    timer = threading.Timer(0.1, lambda: trainer.jobs[name].update(status=trainer.script[-1]))
    timer.start()
    jobs.run(job)
    timer.join()
    assert trainer.created == []
    assert trainer.jobs == {}


def test_a_job_that_is_found_belongs_to_the_pod_that_waits_now(jobs, trainer, kubernetes, job):
    name = job["metadata"]["name"]
    trainer.put(name, trainer.script[-1], ownerReferences=[{**POD, "uid": "pod-0"}])
    found = trainer.jobs[name]
    jobs.run(job)
    assert [one["uid"] for one in found["metadata"]["ownerReferences"]] == ["pod-0", "pod-1"]


def test_two_that_start_at_once_end_with_one_job(jobs, trainer, kubernetes, job):
    """The other one is faster between our look and our POST: 409, and its job is waited for."""
    name, original = job["metadata"]["name"], trainer.answer

    def answer(method, path, body):
        if method == "POST" and name not in trainer.jobs:
            trainer.put(name, trainer.script[-1])
        return original(method, path, body)

    kubernetes.extension = answer
    jobs.run(job)
    assert trainer.created == []
    assert sum(request.startswith("POST") for request in kubernetes.requests) == 1


def test_a_failed_job_of_an_earlier_try_makes_room(jobs, trainer, job):
    trainer.put(job["metadata"]["name"], FAILED)
    trainer.removal_looks = 3
    jobs.run(job)
    assert len(trainer.created) == 1


def test_a_job_that_does_not_go_away(jobs, trainer, job):
    trainer.put(job["metadata"]["name"], RUNNING, deletionTimestamp="2026-01-01T00:00:00Z")
    trainer.removal_looks = 10_000
    jobs.removal_seconds = 0.05
    with pytest.raises(TrainJobError, match="is not gone after") as error:
        jobs.run(job)
    assert "finalizers" in error.value.remedy


def test_a_failed_training_says_why_and_leaves_nothing(jobs, trainer, job, caplog):
    trainer.script = [RUNNING, FAILED]
    trainer.pods = {
        "n-0": ("Failed", "loading\n\n  ModelError: no such model\n  \n=======\n"),
        "n-1": ("Running", "fine\n"),
    }
    with pytest.raises(TrainJobError, match="FailedJobs: 1 job failed") as error:
        jobs.run(job)
    assert "the last line of its log: ModelError: no such model" in error.value.problem  # torchrun rules off its table
    assert trainer.jobs == {}
    assert "n-0: loading" in [record.getMessage() for record in caplog.records]


def test_a_training_that_takes_too_long_is_deleted(jobs, trainer, job):
    trainer.script = [QUEUED]
    trainer.pods = {"n-0": ("Pending", "")}
    job["spec"]["activeDeadlineSeconds"] = 0.05
    with pytest.raises(TrainJobError, match=r"job_timeout_seconds.*Suspended.*n-0 is Pending"):
        jobs.run(job)
    assert trainer.jobs == {}


def test_the_time_of_an_earlier_try_counts(jobs, trainer, job):
    begun = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    trainer.put(job["metadata"]["name"], RUNNING, creationTimestamp=begun)
    job["spec"]["activeDeadlineSeconds"] = 3600
    begin = time.monotonic()
    with pytest.raises(TrainJobError, match="job_timeout_seconds"):
        jobs.run(job)
    assert time.monotonic() - begin < 5


def test_a_failure_is_told_also_where_a_pod_has_no_log(jobs, trainer, job, caplog):
    """A pod that was evicted before its container began."""
    trainer.script = [RUNNING, FAILED]
    trainer.pods = {"n-0": ("Failed", "ModelError: no such model\n"), "n-1": ("Failed", None)}
    with pytest.raises(TrainJobError, match=r"FailedJobs: 1 job failed.*no such model"):
        jobs.run(job)
    assert trainer.jobs == {}
    assert "waiting to start" in caplog.text


def test_a_job_that_is_deleted_by_hand(jobs, trainer, job):
    trainer.script = [RUNNING]
    timer = threading.Timer(0.1, trainer.jobs.clear)
    timer.start()
    with pytest.raises(TrainJobError, match="was deleted while it ran"):
        jobs.run(job)
    timer.join()


def test_an_api_server_that_is_restarted_costs_nothing(jobs, trainer, job):
    trainer.on_create = lambda job: setattr(trainer, "broken", 5)
    jobs.run(job)
    assert len(trainer.created) == 1
    assert trainer.jobs == {}


def test_an_api_server_that_stays_away_leaves_the_job(jobs, trainer, job):
    trainer.on_create = lambda job: setattr(trainer, "broken", 1000)
    with pytest.raises(ClusterError, match="answered 500"):
        jobs.run(job)
    assert list(trainer.jobs) == [job["metadata"]["name"]]


@pytest.mark.parametrize(
    ("refusal", "remedy"),
    [
        ((403, 'trainjobs is forbidden: User "x" cannot create resource'), "components/trainer"),
        ((403, 'trainjobs "x" is forbidden: exceeded quota: compute'), "ResourceQuota"),
        ((403, 'admission webhook "validator.trainjob" denied the request: no runtime'), "clustertrainingruntimes"),
        ((400, "strict decoding error: unknown field spec.runtimePatches"), "Kubeflow Trainer 2.2"),
        ((500, "internal error"), "Kubeflow Trainer 2.2"),
    ],
)
def test_what_keeps_a_job_from_starting_has_a_remedy(jobs, trainer, job, refusal, remedy):
    trainer.refusal = refusal
    with pytest.raises(TrainJobError) as error:
        jobs.run(job)
    assert refusal[1] in error.value.problem
    assert remedy in error.value.remedy
    assert error.value.status == refusal[0]


def test_a_cluster_without_trainer(jobs, trainer, job):
    trainer.installed = False
    with pytest.raises(TrainJobError, match="does not know TrainJob") as error:
        jobs.run(job)
    assert "Install Kubeflow Trainer" in error.value.remedy


def test_rights_are_missing_altogether(jobs, kubernetes, trainer, job):
    kubernetes.forbidden = {f"{JOBS}/{job['metadata']['name']}"}
    with pytest.raises(TrainJobError) as error:
        jobs.run(job)
    assert "components/trainer" in error.value.remedy


def test_warnings_that_may_not_be_read_do_not_stop_the_training(jobs, kubernetes, trainer, job, caplog):
    caplog.set_level(logging.INFO)
    kubernetes.forbidden = {EVENTS}
    jobs.run(job)
    assert sum("cannot be read" in record.getMessage() for record in caplog.records) == 1


def test_the_fake_refuses_what_trainer_does_not_know(jobs, trainer, job):
    assert unknown_fields({"runtimeRef": {"nom": 1}}, {"runtimeRef": {"name": None}}, "spec") == ["spec.runtimeRef.nom"]
    job["spec"]["podTemplateOverrides"] = []  # Trainer 2.1's
    with pytest.raises(TrainJobError, match=r"unknown field 'spec\.podTemplateOverrides'"):
        jobs.run(job)


UNIT = Unit("train_adapter", 1)


def test_the_step_waits_for_the_manifest_of_the_job(jobs, trainer, new_campaign):
    campaign = new_campaign("ingest_pool")
    trainer.on_create = lambda job: finish(campaign, UNIT)
    manifest = train_step.train_in_job(campaign, UNIT, template(), jobs)
    assert manifest.unit == UNIT
    assert trainer.created[0]["spec"]["trainer"]["args"][:2] == [campaign.store.uri, "1"]


def test_a_step_that_is_done_starts_nothing_and_tidies_up(jobs, trainer, new_campaign):
    campaign = new_campaign("ingest_pool", ("train_adapter", 1))
    trainer.put(job_name("tiny", campaign.store.uri, 1), trainer.script[-1])
    train_step.train_in_job(campaign, UNIT, template(), jobs)
    assert (trainer.created, trainer.jobs) == ([], {})


def test_a_job_that_ends_well_without_a_result(jobs, trainer, new_campaign):
    with pytest.raises(TrainJobError, match="there is no manifest"):
        train_step.train_in_job(new_campaign("ingest_pool"), UNIT, template(), jobs)


class Artifact:
    """What KFP hands over."""

    def __init__(self, path):
        self.path, self.metadata = str(path), {}


def test_the_pod_of_the_step_starts_the_job_that_it_was_compiled_with(
    trainer, new_campaign, monkeypatch, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    campaign = new_campaign("ingest_pool")
    trainer.on_create = lambda job: finish(campaign, UNIT)
    trainer.script = [trainer.script[-1]]
    values = {"TRAIN_JOB": json.dumps(template()), "POD_NAME": "waits", "POD_UID": "pod-1", "POD_NAMESPACE": NAMESPACE}
    for name, value in values.items():
        monkeypatch.setenv(f"ACTIVELORA_{name}", value)
    artifact = Artifact(tmp_path / "adapter")
    train_step.train_at(campaign.store.uri, 1.0, artifact)
    (made,) = trainer.created
    assert made["metadata"]["ownerReferences"] == [POD]
    assert made["spec"]["trainer"]["numNodes"] == 2
    assert artifact.metadata["manifest"] == UNIT.manifest_key
    assert b"started TrainJob" in campaign.store.read("rounds/0001/train_adapter/log.jsonl")


def test_outside_of_a_pod_it_says_so(new_campaign, caplog, tmp_path):
    with pytest.raises(SystemExit):
        train_step.train_at(new_campaign("ingest_pool").store.uri, 1.0, Artifact(tmp_path / "adapter"))
    assert "ACTIVELORA_TRAIN_JOB: is not set: only a pod of a compiled pipeline has it" in caplog.text
