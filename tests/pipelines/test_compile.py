"""The compiled pipelines: what Kubeflow will run, where, and under which conditions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from activelora import __version__
from activelora.config import ResourcesConfig
from components.image import images
from pipelines.compile import compile_pipelines

RESOURCES = ResourcesConfig.model_validate(
    {
        "cpu": {"cpu": "1", "memory": "3Gi"},
        "train": {
            "accelerator_type": "nvidia.com/gpu",
            "accelerator_count": 2,
            "memory": "60Gi",
            "shm": "8Gi",
            "node_selector": {"pool": "a100"},
            "tolerations": [{"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}],
        },
        "score": {"memory": "16Gi"},
        "parallel_shards": 3,
        "secrets": ["s3-keys"],
    }
)
STEPS = ("ingest-pool", "train-adapter", "evaluate-adapter", "score-pool", "select-batch", "await-labels")
CPU_IMAGE, GPU_IMAGE = images().cpu, images().gpu


class Compiled:
    """One compiled pipeline."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")
        self.spec, *platform = yaml.safe_load_all(self.text)
        self.components = self.spec["components"]
        self.executors = self.spec["deploymentSpec"]["executors"]
        self.pods = platform[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    def executor(self, step: str) -> dict:
        return self.executors[f"exec-{step}"]["container"]

    def dags(self) -> dict:
        found = {name: one["dag"] for name, one in self.components.items() if "dag" in one}
        return {"root": self.spec["root"]["dag"], **found}

    def tasks(self) -> list[tuple[str, dict]]:
        return [(name, task) for dag in self.dags().values() for name, task in dag["tasks"].items()]

    def order(self, dag: str) -> list[str]:
        """Return the executors and sub-pipelines under a DAG, depth first, each after what it depends on."""
        tasks, done, found = self.dags()[dag]["tasks"], set(), []
        while len(done) < len(tasks):
            ready = [n for n, t in sorted(tasks.items()) if n not in done and set(t.get("dependentTasks", ())) <= done]
            name = ready[0]
            done.add(name)
            component = tasks[name]["componentRef"]["name"]
            if component in self.dags():
                found += self.order(component)
            else:
                found.append(component.removeprefix("comp-"))
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    compile_pipelines(RESOURCES, 4, folder, images())
    return folder


@pytest.fixture(scope="module", params=["tick.yaml", "campaign.yaml"])
def compiled(request, folder):
    return Compiled(folder / request.param)


@pytest.fixture(scope="module")
def tick(folder):
    return Compiled(folder / "tick.yaml")


def test_the_steps_follow_each_other(compiled):
    order = [re.sub(r"-\d+$", "", name) for name in compiled.order("root")]
    assert order == [
        "plan",
        "await-labels",  # labels of the round under way, if it waits for them
        "ingest-pool",
        "plan",
        "train-adapter",
        "evaluate-adapter",
        "plan",
        "score-pool",
        "select-batch",
        "await-labels",
    ]


def test_every_step_runs_under_a_condition_of_its_own(tick):
    conditional = {
        inner["componentRef"]["name"].removeprefix("comp-")
        for _, task in tick.tasks()
        if "condition" in task.get("triggerPolicy", {})
        for inner in tick.dags()[task["componentRef"]["name"]]["tasks"].values()
    }
    assert {"ingest-pool", "await-labels", "train-adapter", "evaluate-adapter", "select-batch"} <= conditional
    assert {"score-shards", "steps", "label"} <= conditional


def test_conditions_and_loops_see_parameters_only(compiled):
    """The local runner resolves another task's output inside a condition or a loop wrongly, and says nothing."""
    controls = [task for _, task in compiled.tasks() if "triggerPolicy" in task or "parameterIterator" in task]
    assert len(controls) >= 8
    for task in controls:
        sources = [set(source) for source in task["inputs"]["parameters"].values()]
        assert all(source == {"componentInputParameter"} for source in sources)


def test_shards_fan_out_and_rounds_do_not(folder):
    loops = {
        name: {
            task["taskInfo"]["name"]: task["iteratorPolicy"]
            for _, task in Compiled(path).tasks()
            if "iteratorPolicy" in task
        }
        for name, path in {"tick": folder / "tick.yaml", "campaign": folder / "campaign.yaml"}.items()
    }
    assert loops["tick"] == {"shards": {"parallelismLimit": 3}}
    assert loops["campaign"] == {"shards": {"parallelismLimit": 3}, "rounds": {"parallelismLimit": 1}}


def test_the_campaign_goes_through_its_planned_rounds(folder):
    parameters = Compiled(folder / "campaign.yaml").spec["root"]["inputDefinitions"]["parameters"]
    assert parameters["rounds"]["defaultValue"] == [0, 1, 2, 3, 4]
    assert set(parameters) == {"campaign_uri", "rounds"}


def test_nothing_is_cached(compiled):
    assert "enableCache: true" not in compiled.text


def test_nothing_is_installed_when_a_pod_starts(compiled):
    for executor in compiled.executors.values():
        assert not re.search(r"\bpip\b|\binstall\b|ensurepip", " ".join(executor["container"]["command"]))


def test_a_component_is_one_import_and_one_call(compiled):
    for executor in compiled.executors.values():
        body = executor["container"]["command"][-1].partition('"""')[2].partition('"""')[2]
        lines = [line for line in body.splitlines() if line.strip()]
        assert len(lines) == 2
        assert re.match(r"    from (components|pipelines)\.\w+ import \w+$", lines[0])


def test_every_image_comes_from_one_place_with_a_pinned_tag(compiled):
    found = {executor["container"]["image"] for executor in compiled.executors.values()}
    assert found == {CPU_IMAGE, GPU_IMAGE}
    assert all(image.endswith(f":{__version__}") for image in found)


def test_only_steps_with_an_accelerator_get_the_gpu_image(tick):
    gpu = {name for name, executor in tick.executors.items() if executor["container"]["image"] == GPU_IMAGE}
    assert gpu == {"exec-train-adapter"}


def test_resources_come_from_the_campaign(tick):
    train = tick.executor("train-adapter")["resources"]
    assert train["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert train["accelerator"]["resourceCount"] == "2"
    assert train["resourceMemoryLimit"] == "60Gi"
    assert tick.executor("score-pool")["resources"]["resourceMemoryLimit"] == "16Gi"
    assert "accelerator" not in tick.executor("score-pool")["resources"]
    assert tick.executor("select-batch")["resources"]["resourceCpuLimit"] == "1"


def test_accelerator_pods_get_shared_memory_nodes_and_tolerations(tick):
    pod = tick.pods["exec-train-adapter"]
    assert pod["emptyDirMounts"] == [
        {"medium": "Memory", "mountPath": "/dev/shm", "sizeLimit": "8Gi", "volumeName": "shm"}
    ]
    assert pod["nodeSelector"] == {"labels": {"pool": "a100"}}
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]
    assert "emptyDirMounts" not in tick.pods["exec-score-pool"]


def test_every_pod_gets_the_secrets_by_name(compiled):
    assert set(compiled.pods) == set(compiled.executors)
    for pod in compiled.pods.values():
        (secret,) = pod["secretAsEnv"]
        assert secret["secretName"] == "s3-keys"
        names = {pair["envVar"] for pair in secret["keyToEnv"]}
        assert names == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def test_artifacts_are_shown_where_they_belong(tick):
    kinds = {
        step: {
            name: one["artifactType"]["schemaTitle"]
            for name, one in tick.components[f"comp-{step}"].get("outputDefinitions", {}).get("artifacts", {}).items()
        }
        for step in STEPS
    }
    assert kinds["ingest-pool"] == {"pool": "system.Dataset"}
    assert kinds["train-adapter"] == {"adapter": "system.Model"}
    assert kinds["evaluate-adapter"] == {"metrics": "system.Metrics", "report": "system.HTML"}
    assert kinds["select-batch"] == {"batch": "system.Dataset"}


def test_the_plan_component_outputs_what_due_says(tick):
    from pipelines.due import Due

    assert set(tick.components["comp-plan"]["outputDefinitions"]["parameters"]) == set(Due._fields)


def test_compiling_imports_no_model_library():
    program = (
        "import sys; from pathlib import Path; from activelora.config import ResourcesConfig;"
        "from components.image import images; from pipelines.compile import compile_pipelines;"
        "import tempfile; compile_pipelines(ResourcesConfig(), 3, Path(tempfile.mkdtemp()), images());"
        "print([m for m in ('torch', 'transformers', 'mlflow', 'matplotlib', 'peft') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_compiling_again_gives_the_same(folder, tmp_path):
    for path in compile_pipelines(RESOURCES, 4, tmp_path, images()):
        assert path.read_text() == (folder / path.name).read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"tick.yaml", "campaign.yaml"}
