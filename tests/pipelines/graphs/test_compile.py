"""The compiled pipelines: what Kubeflow will run, where, and under which conditions."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from activelora import __version__
from activelora.config import ResourcesConfig
from components.image import images
from pipelines.graphs.accelerators import parameters_of
from pipelines.graphs.compile import compile_pipelines, compile_text

GOLDEN = Path(__file__).with_name("graph.json")
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
STEER = {
    "train_accelerator": "nvidia.com/gpu",
    "train_accelerator_count": "2",
    "train_node_selector": {"pool": "a100"},
}
STEPS = ("ingest-pool", "train-adapter", "evaluate-adapter", "score-pool", "select-batch", "await-labels")
CPU_IMAGE, GPU_IMAGE = images().cpu, images().gpu


class Compiled:
    """One compiled pipeline."""

    def __init__(self, path: Path | None = None, text: str = "") -> None:
        self.text = text if path is None else path.read_text(encoding="utf-8")
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
    assert compiled.order("root") == [
        "plan",  # collects labels of the round under way, if it waits for them
        "ingest-pool",
        "train-adapter",
        "evaluate-adapter",
        "score-pool",
        "select-batch",
        "await-labels",
    ]


def test_one_condition_is_around_work_and_one_inside_it_around_labels(compiled):
    conditions = {
        task["taskInfo"]["name"]: (dag, set(compiled.dags()[task["componentRef"]["name"]]["tasks"]))
        for dag, content in compiled.dags().items()
        for task in content["tasks"].values()
        if "condition" in task.get("triggerPolicy", {})
    }
    assert set(conditions) == {"work is due", "labels are wanted"}
    around, inside = conditions["work is due"], conditions["labels are wanted"]
    assert {"ingest-pool", "train-adapter", "evaluate-adapter"} <= around[1]
    assert {"select-batch", "await-labels"} <= inside[1]
    assert inside[0] == "comp-condition"
    assert "plan" not in around[1] | inside[1]


def test_shares_fan_out_and_rounds_do_not(folder):
    loops = {
        name: {
            task["taskInfo"]["name"]: task["iteratorPolicy"]
            for _, task in Compiled(path).tasks()
            if "iteratorPolicy" in task
        }
        for name, path in {"tick": folder / "tick.yaml", "campaign": folder / "campaign.yaml"}.items()
    }
    assert loops["tick"] == {"shares": {"parallelismLimit": 3}}
    assert loops["campaign"] == {"shares": {"parallelismLimit": 3}, "rounds": {"parallelismLimit": 1}}


def test_the_campaign_goes_through_its_planned_rounds(folder):
    parameters = Compiled(folder / "campaign.yaml").spec["root"]["inputDefinitions"]["parameters"]
    assert parameters["rounds"]["defaultValue"] == [0, 1, 2, 3, 4]
    assert set(parameters) == {"campaign_uri", "rounds", *STEER}


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
        assert re.match(r"    from (components|pipelines)(\.\w+)+ import \w+$", lines[0])


def test_every_image_comes_from_one_place_with_a_pinned_tag(compiled):
    found = {executor["container"]["image"] for executor in compiled.executors.values()}
    assert found == {CPU_IMAGE, GPU_IMAGE}
    assert all(image.endswith(f":{__version__}") for image in found)


def test_only_steps_with_an_accelerator_get_the_gpu_image(tick):
    gpu = {name for name, executor in tick.executors.items() if executor["container"]["image"] == GPU_IMAGE}
    assert gpu == {"exec-train-adapter"}


def test_resources_come_from_the_campaign(tick):
    train = tick.executor("train-adapter")["resources"]
    assert train["accelerator"]["resourceType"] == "{{$.inputs.parameters['pipelinechannel--train_accelerator']}}"
    assert (
        train["accelerator"]["resourceCount"] == "{{$.inputs.parameters['pipelinechannel--train_accelerator_count']}}"
    )
    assert train["resourceMemoryLimit"] == "60Gi"
    assert tick.executor("score-pool")["resources"]["resourceMemoryLimit"] == "16Gi"
    assert "accelerator" not in tick.executor("score-pool")["resources"]
    assert tick.executor("select-batch")["resources"]["resourceCpuLimit"] == "1"


def test_accelerators_are_parameters_with_the_campaigns_values(compiled):
    """A text for the number: KFP's driver reads parameters of pods as texts."""
    parameters = compiled.spec["root"]["inputDefinitions"]["parameters"]
    given = {name: one["defaultValue"] for name, one in parameters.items() if name.startswith(("train_", "score_"))}
    assert given == STEER
    assert parameters["train_accelerator_count"]["parameterType"] == "STRING"


def dangling(compiled: Compiled) -> list[str]:
    """Return the inputs that a task, or its pod, refers to and its surroundings do not have."""
    inputs = {name: one.get("inputDefinitions", {}) for name, one in compiled.components.items()}
    inputs["root"] = compiled.spec["root"].get("inputDefinitions", {})
    found = []
    for dag, content in compiled.dags().items():
        there = set(inputs[dag].get("parameters", {}))
        for name, task in content["tasks"].items():
            given = task.get("inputs", {}).get("parameters", {})
            wanted = {one["componentInputParameter"] for one in given.values() if "componentInputParameter" in one}
            executor = compiled.components[task["componentRef"]["name"]].get("executorLabel")
            selector = compiled.pods.get(executor, {}).get("nodeSelector", {}).get("nodeSelectorJson")
            wanted |= {selector["componentInputParameter"]} if selector else set()
            placeholders = re.findall(r"inputs\.parameters\['([^']+)'\]", json.dumps(compiled.executors.get(executor)))
            found += [f"{dag}/{name}: {one}" for one in wanted - there]
            found += [f"{dag}/{name}: {one}" for one in set(placeholders) - set(given)]
    return found


def test_what_a_task_refers_to_is_handed_down_to_it(compiled, full):
    """KFP 2.17 by itself forgets an accelerator's parameter at a condition or a loop; the run would fail there."""
    assert dangling(compiled) == []
    assert dangling(full) == []


def test_registered_pipelines_are_the_same_whatever_the_accelerators():
    more = RESOURCES.model_copy(
        update={"train": RESOURCES.train.model_copy(update={"accelerator_count": 8, "node_selector": {"pool": "h100"}})}
    )
    texts = {compile_text(one, 4, images(), loop=False) for one in (RESOURCES, more)}
    assert len(texts) == 1
    parameters = next(yaml.safe_load_all(texts.pop()))["root"]["inputDefinitions"]["parameters"]
    assert all(set(parameters[name]) == {"parameterType"} for name in STEER)  # required: a run must be told
    assert parameters_of(more) == {**STEER, "train_accelerator_count": "8", "train_node_selector": {"pool": "h100"}}


def test_a_training_pod_is_told_of_its_processes_and_takes_all_accelerators_that_it_gets(tmp_path):
    """Not of the campaign's own resources: they are those of its first day, and these may have changed since."""
    trains = (RESOURCES.train, RESOURCES.train.model_copy(update={"num_processes": 2, "parallel": "fsdp"}))
    found = []
    for train in trains:
        text = compile_text(RESOURCES.model_copy(update={"train": train}), 4, images(), loop=False)
        container = next(yaml.safe_load_all(text))["deploymentSpec"]["executors"]["exec-train-adapter"]["container"]
        (value,) = [one["value"] for one in container["env"] if one["name"] == "ACTIVELORA_TRAIN"]
        found.append(json.loads(value))
    assert found == [
        {"num_processes": None, "parallel": "ddp", "on_accelerators": True},
        {"num_processes": 2, "parallel": "fsdp", "on_accelerators": True},
    ]


def test_accelerator_pods_get_shared_memory_nodes_and_tolerations(tick):
    pod = tick.pods["exec-train-adapter"]
    assert pod["emptyDirMounts"] == [
        {"medium": "Memory", "mountPath": "/dev/shm", "sizeLimit": "8Gi", "volumeName": "shm"}
    ]
    selector = {"componentInputParameter": "pipelinechannel--train_node_selector"}
    assert pod["nodeSelector"] == {"nodeSelectorJson": selector}
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


def test_the_plan_component_outputs_what_a_tick_begins_with(tick):
    from components.plan.step import Begun

    assert set(tick.components["comp-plan"]["outputDefinitions"]["parameters"]) == set(Begun._fields)


def test_compiling_imports_no_model_library():
    program = (
        "import sys; from pathlib import Path; from activelora.config import ResourcesConfig;"
        "from components.image import images; from pipelines.graphs.compile import compile_pipelines;"
        "import tempfile; compile_pipelines(ResourcesConfig(), 3, Path(tempfile.mkdtemp()), images());"
        "print([m for m in ('torch', 'transformers', 'mlflow', 'matplotlib', 'peft') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_compiling_again_gives_the_same(folder, tmp_path):
    for path in compile_pipelines(RESOURCES, 4, tmp_path, images()):
        assert path.read_text() == (folder / path.name).read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"tick.yaml", "campaign.yaml"}


def structure(compiled: Compiled) -> dict:
    """Return what matters of a pipeline: tasks, edges, conditions, loops, images and resources."""
    dags = {}
    for dag, content in sorted(compiled.dags().items()):
        dags[dag] = {
            name: {
                "runs": task["componentRef"]["name"],
                **({"after": sorted(task["dependentTasks"])} if "dependentTasks" in task else {}),
                **({"if": task["triggerPolicy"]["condition"]} if "condition" in task.get("triggerPolicy", {}) else {}),
                **(
                    {"strategy": task["triggerPolicy"]["strategy"]}
                    if "strategy" in task.get("triggerPolicy", {})
                    else {}
                ),
                **({"at once": task["iteratorPolicy"]["parallelismLimit"]} if "iteratorPolicy" in task else {}),
            }
            for name, task in sorted(content["tasks"].items())
        }
    pods = {
        name: {
            "image": executor["container"]["image"].rpartition("/")[2].partition(":")[0],
            "resources": {key: value for key, value in executor["container"]["resources"].items() if "resource" in key},
            "accelerator": executor["container"]["resources"].get("accelerator", {}).get("resourceCount"),
            "settings": sorted(compiled.pods[name]),
        }
        for name, executor in sorted(compiled.executors.items())
    }
    return {"dags": dags, "pods": pods}


def test_the_graph_is_the_known_one(folder):
    """A change of the graph is a change of graph.json, which ACTIVELORA_WRITE_GOLDEN=1 writes anew."""
    found = {name: structure(Compiled(folder / f"{name}.yaml")) for name in ("tick", "campaign")}
    if os.environ.get("ACTIVELORA_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(GOLDEN.read_text())


def test_no_accelerator_pod_starts_where_nothing_is_due(folder):
    """Such a pod hangs directly under a condition, or in a loop over what a condition let through."""
    for name in ("tick", "campaign"):
        compiled = Compiled(folder / f"{name}.yaml")
        dags = compiled.dags()
        guarded = {
            task["componentRef"]["name"]
            for _, task in compiled.tasks()
            if "condition" in task.get("triggerPolicy", {}) or "iteratorPolicy" in task
        }
        gpu = {
            f"comp-{one.removeprefix('exec-')}"
            for one, executor in compiled.executors.items()
            if executor["container"]["image"] == GPU_IMAGE
        }
        assert gpu
        for dag, content in dags.items():
            if any(task["componentRef"]["name"] in gpu for task in content["tasks"].values()):
                assert dag in guarded


def test_a_pipeline_stays_small(folder):
    """etcd takes 1.5 MB, and KFP's own limits are lower; the loop does not unroll."""
    assert (folder / "tick.yaml").stat().st_size < 100_000
    assert (folder / "campaign.yaml").stat().st_size < 100_000


def test_another_process_compiles_the_same(folder, tmp_path):
    """KFP's own order varies from process to process, and a version is known by its content."""
    program = (
        "import sys; from pathlib import Path; from activelora.config import ResourcesConfig;"
        "from components.image import images; from pipelines.graphs.compile import compile_pipelines;"
        "compile_pipelines(ResourcesConfig.model_validate_json(sys.argv[1]), 4, Path(sys.argv[2]), images())"
    )
    for seed in ("1", "2"):
        out = tmp_path / seed
        command = [sys.executable, "-W", "ignore", "-c", program, RESOURCES.model_dump_json(), str(out)]
        subprocess.run(command, check=True, timeout=60, env={**os.environ, "PYTHONHASHSEED": seed})
        for name in ("tick.yaml", "campaign.yaml"):
            assert (out / name).read_text() == (folder / name).read_text()


FULL = ResourcesConfig.model_validate(
    {
        "train": {"accelerator_type": "nvidia.com/gpu", "shm": "8Gi"},
        "secrets": ["s3-keys"],
        "config_map": "activelora-config",
        "image_pull_secrets": ["registry"],
        "model_cache": {"claim": "models"},
        "queue": "gpu-queue",
        "pod_labels": {"team": "nlp", "app.kubernetes.io/part-of": "mine"},
        "pod_annotations": {"sidecar.istio.io/inject": "false"},
        "pod_timeout_seconds": 7200,
        "run_timeout_seconds": 86400,
        "run_ttl_seconds": 3600,
        "notify": {"secret": "webhook"},
        "secret_env": {
            "HF_TOKEN": {"name": "hub", "key": "token"},
            "MLFLOW_TRACKING_USERNAME": {"name": "mlflow-login", "key": "user"},
            "MLFLOW_TRACKING_PASSWORD": {"name": "mlflow-login"},
            "LABEL_STUDIO_API_KEY": {"name": "label-studio"},
            "MY_OWN_API_KEY": {"name": "own", "key": "a.b-c", "steps": ["select_batch", "plan"]},
        },
    }
)


@pytest.fixture(scope="module", params=["tick.yaml", "campaign.yaml"])
def full(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    compile_pipelines(FULL, 4, folder, images())
    return Compiled(folder / request.param)


def test_pods_carry_labels_annotations_and_a_deadline(full):
    for name, pod in full.pods.items():
        labels = pod["podMetadata"]["labels"]
        assert labels["team"] == "nlp"
        assert labels["app.kubernetes.io/part-of"] == "activelora"  # the network policies go by it
        assert labels["app.kubernetes.io/component"] == "step"
        is_gpu = full.executors[name]["container"]["image"] == GPU_IMAGE
        assert labels.get("kueue.x-k8s.io/queue-name") == ("gpu-queue" if is_gpu else None)
        assert pod["podMetadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}
        assert pod["activeDeadlineSeconds"] == "7200"
        assert pod["imagePullSecret"][0]["secretName"] == "registry"
        (config,) = pod["configMapAsEnv"]
        assert config["configMapName"] == "activelora-config"
        assert {one["envVar"] for one in config["keyToEnv"]} == {
            "AWS_ENDPOINT_URL_S3",
            "AWS_DEFAULT_REGION",
            "MLFLOW_TRACKING_URI",
        }


def test_pods_that_run_models_share_the_cache(full):
    mounted = {name.removeprefix("exec-"): pod["pvcMount"] for name, pod in full.pods.items() if "pvcMount" in pod}
    assert set(mounted) == {"train-adapter", "evaluate-adapter", "score-pool"}
    for name, (mount,) in mounted.items():
        assert (mount["constant"], mount["mountPath"]) == ("models", "/cache")
        environment = {one["name"]: one["value"] for one in full.executor(name)["env"]}
        environment.pop("ACTIVELORA_TRAIN", None)
        assert environment == {"ACTIVELORA_CACHE": "/cache/activelora", "HF_HOME": "/cache/huggingface"}


def test_without_a_claim_each_pod_has_a_volume_of_its_own(tmp_path):
    cache = {"size": "5Gi", "storage_class": "fast", "uri": "s3://bucket/models"}
    compile_pipelines(ResourcesConfig.model_validate({"model_cache": cache}), 1, tmp_path, images())
    compiled = Compiled(tmp_path / "tick.yaml")
    environment = {one["name"]: one["value"] for one in compiled.executor("score-pool")["env"]}
    assert environment["ACTIVELORA_MODEL_CACHE"] == "s3://bucket/models"
    (volume,) = compiled.pods["exec-score-pool"]["genericEphemeralVolume"]
    assert (volume["size"], volume["storageClassName"], volume["mountPath"]) == ("5Gi", "fast", "/cache")


def test_the_exit_task_follows_whatever_happens(full):
    root = full.dags()["root"]["tasks"]
    (handled,) = [name for name in root if name != "tell-the-end"]
    ending = root["tell-the-end"]
    assert ending["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert ending["dependentTasks"] == [handled]
    assert ending["inputs"]["parameters"]["status"] == {"taskFinalStatus": {"producerTask": handled}}


def test_each_secret_goes_to_the_pods_that_need_it_alone(full):
    given = {}
    for name, pod in full.pods.items():
        for secret in pod["secretAsEnv"]:
            for pair in secret["keyToEnv"]:
                given.setdefault((pair["envVar"], secret["secretName"], pair["secretKey"]), set()).add(
                    name.removeprefix("exec-")
                )
    s3 = {(key, "s3-keys", key) for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    everyone = {name.removeprefix("exec-") for name in full.pods}
    assert all(given.pop(one) == everyone for one in s3)
    publishing, collecting = {"plan", "evaluate-adapter", "await-labels"}, {"plan", "await-labels"}
    assert given == {
        ("HF_TOKEN", "hub", "token"): {"ingest-pool", "train-adapter", "evaluate-adapter", "score-pool"},
        ("MLFLOW_TRACKING_USERNAME", "mlflow-login", "user"): publishing,
        ("MLFLOW_TRACKING_PASSWORD", "mlflow-login", "MLFLOW_TRACKING_PASSWORD"): publishing,
        ("LABEL_STUDIO_API_KEY", "label-studio", "LABEL_STUDIO_API_KEY"): collecting,
        ("MY_OWN_API_KEY", "own", "a.b-c"): {"select-batch", "plan"},
        ("ACTIVELORA_WEBHOOK_URL", "webhook", "WEBHOOK_URL"): {"tell-the-end", *collecting},
    }


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fused")
    compile_pipelines(FULL.model_copy(update={"graph": "fused"}), 4, folder, images())
    return [Compiled(folder / name) for name in ("tick.yaml", "campaign.yaml")]


def test_a_fused_tick_is_one_pod_with_what_all_steps_get(fused, full):
    for compiled in fused:
        assert compiled.order("root")[0] == "whole-tick"
        assert dangling(compiled) == []
        assert set(compiled.pods) == {"exec-whole-tick", "exec-tell-the-end"}
        assert compiled.executor("whole-tick")["command"] == ["activelora", "tick"]
        assert compiled.executor("whole-tick")["image"] == GPU_IMAGE
        pod, steps = compiled.pods["exec-whole-tick"], {*full.pods} - {"exec-tell-the-end"}
        assert secrets_of(pod) == set().union(*(secrets_of(full.pods[name]) for name in steps))
        assert pod["pvcMount"] == full.pods["exec-train-adapter"]["pvcMount"]


def secrets_of(pod):
    return {
        (one["secretName"], pair["secretKey"], pair["envVar"]) for one in pod["secretAsEnv"] for pair in one["keyToEnv"]
    }


def test_a_fused_tick_trains_on_one_node():
    with pytest.raises(ValueError, match=r"graph: fused is one pod, and train\.num_nodes 2 is 2"):
        ResourcesConfig.model_validate({"graph": "fused", "train": {"num_nodes": 2}})


def test_runs_end_and_are_cleaned_up(full):
    (settings,) = [one["platforms"]["kubernetes"] for one in yaml.safe_load_all(full.text) if "platforms" in one]
    config = settings["pipelineConfig"]
    assert (config["activeDeadlineSeconds"], config["resourceTtlOnCompletion"]) == (86400, 3600)


def test_pods_say_how_important_they_are(tmp_path):
    resources = ResourcesConfig.model_validate(
        {
            "queue": "gpu-queue",
            "cpu": {"priority_class": "low"},
            "train": {"accelerator_type": "nvidia.com/gpu", "priority_class": "high"},
            "score": {"priority_class": "high"},  # without an accelerator: not in the queue
        }
    )
    compile_pipelines(resources, 1, tmp_path, images())
    pods = Compiled(tmp_path / "tick.yaml").pods
    own, kueue = "activelora.dev/priority-class", "kueue.x-k8s.io/priority-class"
    given = {name: {key: pod["podMetadata"]["labels"].get(key) for key in (own, kueue)} for name, pod in pods.items()}
    assert given["exec-train-adapter"] == {own: None, kueue: "high"}
    assert given["exec-score-pool"] == {own: "high", kueue: None}
    assert given["exec-plan"] == {own: "low", kueue: None}


def test_images_are_pinned_by_digest_where_the_environment_says_so(tmp_path, monkeypatch):
    digests = {"cpu": "sha256:" + "c" * 64, "gpu": "sha256:" + "d" * 64}
    for name, digest in digests.items():
        monkeypatch.setenv(f"ACTIVELORA_{name.upper()}_IMAGE", f"r.io/x/activelora-{name}:{__version__}@{digest}")
    compile_pipelines(FULL, 2, tmp_path, images())
    for name in ("tick.yaml", "campaign.yaml"):
        compiled = Compiled(tmp_path / name)
        found = {label: one["container"]["image"] for label, one in compiled.executors.items()}
        assert found.pop("exec-train-adapter") == f"r.io/x/activelora-gpu:{__version__}@{digests['gpu']}"
        assert found.pop("exec-evaluate-adapter").endswith(digests["gpu"])
        assert found.pop("exec-score-pool").endswith(digests["gpu"])
        assert len(found) >= 5
        assert all(image == f"r.io/x/activelora-cpu:{__version__}@{digests['cpu']}" for image in found.values())
