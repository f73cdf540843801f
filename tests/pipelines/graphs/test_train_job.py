"""A training on several nodes in the compiled pipelines: a pod that only starts it and waits."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from activelora.config import ResourcesConfig
from components.image import images
from pipelines.graphs.compile import compile_pipelines
from pipelines.graphs.train_job_spec import job_template
from tests.pipelines.conftest import make_config
from tests.pipelines.graphs.test_compile import CPU_IMAGE, GPU_IMAGE, Compiled

RESOURCES = ResourcesConfig.model_validate(
    {
        "train": {"num_nodes": 2, "accelerator_type": "nvidia.com/gpu", "accelerator_count": 4, "memory": "60Gi"},
        "score": {"accelerator_type": "nvidia.com/gpu"},
        "cpu": {"memory": "3Gi"},
        "model_cache": {"claim": "models"},
        "queue": "gpus",
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    assert [path.name for path in compile_pipelines(RESOURCES, 4, folder, images())] == [
        "tick.yaml",
        "campaign.yaml",
        "train-job.yaml",
    ]
    return folder


@pytest.fixture(scope="module")
def tick(folder):
    return Compiled(folder / "tick.yaml")


def test_the_pod_that_waits_needs_no_accelerator(tick):
    container = tick.executor("train-adapter")
    assert container["image"] == CPU_IMAGE
    assert "accelerator" not in container["resources"]
    assert container["resources"]["resourceMemoryLimit"] == "3Gi"
    pod = tick.pods["exec-train-adapter"]
    assert not {"emptyDirMounts", "pvcMount", "nodeSelector"} & set(pod)
    assert "kueue.x-k8s.io/queue-name" not in pod["podMetadata"]["labels"]
    assert tick.executor("score-pool")["image"] == GPU_IMAGE


def test_it_knows_the_job_and_itself(tick, folder):
    (job,) = [one["value"] for one in tick.executor("train-adapter")["env"] if one["name"] == "ACTIVELORA_TRAIN_JOB"]
    assert json.loads(job) == job_template(RESOURCES, images())
    assert yaml.safe_load((folder / "train-job.yaml").read_text()) == json.loads(job)
    assert "{{" not in job  # Argo would take it for a template
    names = {one["name"] for one in tick.pods["exec-train-adapter"]["fieldPathAsEnv"]}
    assert names == {f"ACTIVELORA_POD_{part}" for part in ("NAME", "UID", "NAMESPACE")}


def test_the_graph_is_that_of_one_node(tick, tmp_path):
    one = RESOURCES.train.model_copy(update={"num_nodes": 1})
    compile_pipelines(RESOURCES.model_copy(update={"train": one}), 4, tmp_path, images())
    assert tick.order("root") == Compiled(tmp_path / "tick.yaml").order("root")
    body = tick.executor("train-adapter")["command"][-1]
    assert re.search(r"^    from pipelines\.cluster\.train_step import train_if_due$", body, re.MULTILINE)


def test_submitting_shows_the_job(tmp_path, run):
    document = make_config(
        data={"pool": {"path": "s3://b/pool.jsonl"}, "holdout_size": 10},
        model={"base": "owner/model"},
        resources=RESOURCES.model_dump(),
    ).model_dump(mode="json")
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(document))
    code, out, err = run("submit", path, "--campaign", "s3://bucket/tiny", "--dry-run", "--tag", "9.9")
    assert code == 0, err
    job = yaml.safe_load(out[out.index("# What the step that trains will start") :])
    assert job["spec"]["trainer"]["image"].endswith("activelora-gpu:9.9")
    assert job["spec"]["trainer"]["args"][:2] == ["s3://bucket/tiny", "1"]


def test_processes_that_would_share_an_accelerator_are_refused(tmp_path, run):
    train = {"num_processes": 3, "accelerator_type": "nvidia.com/gpu", "accelerator_count": 2}
    document = make_config(
        data={"pool": {"path": "s3://b/pool.jsonl"}, "holdout_size": 10},
        model={"base": "owner/model"},
        resources={"train": train},
    ).model_dump(mode="json")
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(document))
    code, _, err = run("submit", path, "--campaign", "s3://bucket/tiny", "--dry-run")
    assert code == 1
    assert "3 processes cannot share 2 × nvidia.com/gpu" in err
