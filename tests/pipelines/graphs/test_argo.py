"""A tick for Argo Workflows alone: what its template says and runs, and that this is what Kubeflow's graph runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from activelora.campaign.campaign import Campaign, stop_reason
from activelora.config import ResourcesConfig
from components import run_step
from components.image import images
from pipelines.cluster import train_step
from pipelines.engines import inline
from pipelines.graphs.argo import MAX_NAME, argo_documents, argo_text, resource_name
from pipelines.graphs.argo_costs import busiest, cost_of, idle, in_words
from pipelines.graphs.argo_pods import OUTPUTS
from pipelines.graphs.costs import cost_of as cost_of_pipeline
from pipelines.graphs.train_job_spec import job_template
from tests.pipelines.engines.test_inline import digests
from tests.pipelines.graphs.test_compile import CPU_IMAGE, FULL, GPU_IMAGE, Compiled
from tests.pipelines.graphs.test_compile import RESOURCES as PLACED
from tests.pipelines.graphs.test_costs import ALL_THAT_MAY_BE_DUE, FUSED, NOTIFIED, RESOURCES, URI, _compiled, spec_of
from tests.pipelines.graphs.test_train_job import RESOURCES as ON_NODES
from tests.pipelines.tiny import tiny_config

FULL_FUSED = FULL.model_copy(update={"graph": "fused"})
EACH = {
    "placed": PLACED,
    "full": FULL,
    "nodes": ON_NODES,
    "fused": FULL_FUSED,
    "volumes": ResourcesConfig.model_validate(
        {
            "model_cache": {"size": "5Gi", "storage_class": "fast", "uri": "s3://bucket/models"},
            "cpu": {"priority_class": "low"},
            "train": {"accelerator_type": "nvidia.com/gpu", "priority_class": "high"},
            "score": {"priority_class": "high"},
            "queue": "gpu-queue",
            "service_account": "activelora-steps",
        }
    ),
}


def documents(resources: ResourcesConfig, name: str = "demo") -> list[dict]:
    """Return the documents as what reads the YAML gets them."""
    found = argo_documents(resources, images(), name, campaign_uri=URI, cron="0 6 * * *", namespace="argo")
    return list(yaml.safe_load_all(argo_text(found)))


def template_of(resources: ResourcesConfig) -> dict:
    return documents(resources)[0]


def pods_of(resources: ResourcesConfig) -> dict[str, dict]:
    """Return the templates with a container, by name."""
    return {one["name"]: one for one in template_of(resources)["spec"]["templates"] if "container" in one}


@pytest.fixture(params=EACH)
def resources(request):
    return EACH[request.param]


def keys_of(document: Any, path: str = "") -> set[str]:
    """Return the paths of a document's fields."""
    if isinstance(document, dict):
        inner = [(f"{path}.{key}", value) for key, value in document.items()]
        return {name for name, _ in inner}.union(*(keys_of(value, name) for name, value in inner))
    if isinstance(document, list):
        return set().union(*(keys_of(value, f"{path}[{index}]") for index, value in enumerate(document)))
    return set()


def check_by_argo(document: dict) -> None:
    """Check a document against the API of Argo 4.0, as hera has it from Argo's own OpenAPI specification."""
    models = pytest.importorskip("hera.workflows.models")
    read = getattr(models, document["kind"]).model_validate(document)
    known = read.model_dump(by_alias=True, exclude_none=True, mode="json")
    unknown = keys_of(document) - keys_of(known)  # what it does not know it leaves out
    assert not unknown, sorted(unknown)


def test_argo_knows_every_field(resources):
    for document in documents(resources):
        check_by_argo(document)


@pytest.mark.parametrize(
    "path", [["spec", "templates", 1, "container"], ["spec", "templates", 1, "retryStrategy"], ["spec"], []]
)
def test_a_field_that_argo_does_not_know_would_be_found(path):
    document = template_of(FULL)
    at = document
    for step in path:
        at = at[step]
    at["speck"] = {}
    with pytest.raises(AssertionError, match="speck"):
        check_by_argo(document)


@pytest.mark.parametrize("version", ["1.37", "1.36", "1.35"])
def test_kubernetes_would_take_the_pods(resources, version):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    spec = template_of(resources)["spec"]
    for name, template in pods_of(resources).items():
        of_pod = ("nodeSelector", "tolerations", "volumes", "priorityClassName")
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, **template["metadata"]},
            "spec": {
                "containers": [{"name": "main", **template["container"]}],
                "securityContext": spec["securityContext"],
                **{key: template[key] for key in of_pod if key in template},
            },
        }
        kubernetes_validate.validate(pod, version, strict=True)


@pytest.mark.parametrize("resources", [RESOURCES, NOTIFIED], ids=["steps", "notified"])
@pytest.mark.parametrize(("work", "label", "shares"), ALL_THAT_MAY_BE_DUE)
def test_it_runs_the_steps_of_the_other_forms_in_their_order(resources, work, label, shares):
    answers = {"plan": {"round": 3, "work": work}, "evaluate-adapter": {"label": label, "shares": shares}}
    texts = {step: {name: json.dumps(one) for name, one in made.items()} for step, made in answers.items()}
    found = cost_of(template_of(resources), {}, lambda name, _: texts.get(name, {})).steps
    expected = cost_of_pipeline(spec_of(resources), {"campaign_uri": URI}, lambda name, _: answers.get(name, {})).steps
    names = {"campaign_uri", "round", "num_pods", "share"}  # the rest is what only Kubeflow hands in, or only Argo
    assert [(step, {key: one for key, one in given.items() if key in names}) for step, given in found] == [
        (step, {key: as_text(one) for key, one in given.items() if key in names}) for step, given in expected
    ]


def as_text(value: Any) -> str:
    """Return a value as Argo hands it to a command: whole numbers are floats only in Kubeflow Pipelines."""
    return str(int(value)) if isinstance(value, float) else str(value)


@pytest.mark.parametrize(
    ("resources", "nothing", "all_", "hops"),
    [(RESOURCES, 1, 8, 7), (NOTIFIED, 2, 11, 8), (FUSED, 1, 1, 1)],
    ids=["steps", "notified", "fused"],
)
def test_an_idle_tick_is_one_pod_and_a_busy_one_a_pod_a_step(resources, nothing, all_, hops):
    template = template_of(resources)
    assert idle(template).pods == nothing
    found = busiest(template, resources.parallel_shards)
    assert (found.pods, found.hops) == (all_, hops)
    assert f"nothing to do {nothing} pod" in in_words(template, resources.parallel_shards)


def test_only_what_is_due_asks_for_an_accelerator():
    pods = pods_of(FULL)
    for step, _ in idle(template_of(FULL)).steps:
        assert pods[step]["container"]["image"] == CPU_IMAGE
        assert set(pods[step]["container"]["resources"]["limits"]) == {"cpu", "memory"}
    with_gpu = {name for name, one in pods.items() if "nvidia.com/gpu" in one["container"]["resources"]["limits"]}
    assert with_gpu == {name for name, one in pods.items() if one["container"]["image"] == GPU_IMAGE}
    assert with_gpu == {"train-adapter", "evaluate-adapter", "score-pool"}


def test_pods_get_what_those_of_kubeflow_get(resources):
    """Image, processors, memory, variables, secrets, labels, nodes, deadlines, of every step."""
    compiled = Compiled(text=_compiled(resources.model_dump_json(), loop=False))
    pods = pods_of(resources)
    names = {"tick": "whole-tick"} if resources.graph == "fused" else {}
    assert {names.get(name, name) for name in pods} == {name.removeprefix("exec-") for name in compiled.pods}
    for name, template in pods.items():
        step = names.get(name, name)
        theirs, pod = compiled.executor(step), compiled.pods[f"exec-{step}"]
        container = template["container"]
        assert container["image"] == theirs["image"]
        assert container["resources"]["limits"]["cpu"] == theirs["resources"]["resourceCpuLimit"]
        assert container["resources"]["limits"]["memory"] == theirs["resources"]["resourceMemoryLimit"]
        assert len(container["resources"]["limits"]) == 2 + ("accelerator" in theirs["resources"])
        assert variables_of(container) == variables_of_kubeflow(theirs, pod)
        labels = {**template["metadata"]["labels"]}
        if "priorityClassName" in template:  # Kubeflow Pipelines has no such setting, only a label
            labels["activelora.dev/priority-class"] = template["priorityClassName"]
        assert labels == pod["podMetadata"]["labels"]
        assert template["metadata"].get("annotations") == pod["podMetadata"].get("annotations")
        assert str(template.get("activeDeadlineSeconds")) == str(pod.get("activeDeadlineSeconds"))
        assert template.get("tolerations") == pod.get("tolerations")
        mounts = {one["mountPath"] for one in container["volumeMounts"]}
        found = [one for key in ("emptyDirMounts", "pvcMount", "genericEphemeralVolume") for one in pod.get(key, ())]
        assert mounts == {"/tmp", *(one["mountPath"] for one in found)}
        assert {one["name"] for one in template["volumes"]} == {one["name"] for one in container["volumeMounts"]}


def variables_of(container: dict) -> dict[str, Any]:
    """Return a container's variables: their values, or where they come from."""
    found: dict[str, Any] = {}
    for one in container["env"]:
        source = one.get("valueFrom", {})
        if "secretKeyRef" in source:
            found[one["name"]] = ("secret", source["secretKeyRef"]["name"], source["secretKeyRef"]["key"])
        elif "configMapKeyRef" in source:
            assert source["configMapKeyRef"]["optional"]
            found[one["name"]] = ("config", source["configMapKeyRef"]["name"], source["configMapKeyRef"]["key"])
        else:
            found[one["name"]] = source["fieldRef"]["fieldPath"] if source else one["value"]
    assert len(found) == len(container["env"])
    return found


def variables_of_kubeflow(container: dict, pod: dict) -> dict[str, Any]:
    found: dict[str, Any] = {one["name"]: one["value"] for one in container.get("env", ())}
    for kind, key, name in (("secret", "secretAsEnv", "secretName"), ("config", "configMapAsEnv", "configMapName")):
        for one in pod.get(key, ()):
            pairs = {pair["envVar"]: pair.get("secretKey") or pair.get("configMapKey") for pair in one["keyToEnv"]}
            found |= {variable: (kind, one[name], source) for variable, source in pairs.items()}
    return found | {one["name"]: one["fieldPath"] for one in pod.get("fieldPathAsEnv", ())}


def test_nodes_are_those_of_the_campaign():
    pods = pods_of(PLACED)
    assert pods["train-adapter"]["nodeSelector"] == {"pool": "a100"}
    assert pods["train-adapter"]["container"]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert all("nodeSelector" not in one for name, one in pods.items() if name != "train-adapter")


def test_no_pod_is_root_or_writes_to_its_image(resources):
    """Argo 4's own containers run as the workflow's user too."""
    assert template_of(resources)["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for template in pods_of(resources).values():
        context = template["container"]["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
        assert template["retryStrategy"]["retryPolicy"] == "OnError"


def test_workflows_end_and_are_cleaned_up():
    spec = template_of(FULL)["spec"]
    assert spec["activeDeadlineSeconds"] == 86400
    names = {"secondsAfterCompletion", "secondsAfterSuccess", "secondsAfterFailure"}
    assert spec["ttlStrategy"] == dict.fromkeys(names, 3600)
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["onExit"] == "tell-the-end"
    plain = template_of(RESOURCES)["spec"]
    assert not {"ttlStrategy", "activeDeadlineSeconds", "onExit", "serviceAccountName"} & set(plain)
    assert template_of(EACH["volumes"])["spec"]["serviceAccountName"] == "activelora-steps"


def test_the_schedule_starts_one_tick_at_a_time():
    template, cron = documents(RESOURCES)
    assert cron["spec"]["workflowSpec"] == {"workflowTemplateRef": {"name": template["metadata"]["name"]}}
    assert (cron["spec"]["schedules"], cron["spec"]["timezone"]) == (["0 6 * * *"], "Etc/UTC")
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    assert {one["metadata"]["namespace"] for one in (template, cron)} == {"argo"}


def test_a_long_name_is_cut_to_what_argo_takes():
    names = [
        resource_name(name) for name in ("a", "a" * 47, "a" * 48, "a" * 63, "a" * 62 + "b", "a" * 38 + "-" * 24 + "b")
    ]
    assert names[:2] == ["a-tick", "a" * 47 + "-tick"]
    assert len(set(names)) == len(names)
    assert all(len(name) <= MAX_NAME and re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name) for name in names)


def test_a_training_on_nodes_is_started_by_a_pod_without_accelerator():
    pod = pods_of(ON_NODES)["train-adapter"]
    assert pod["container"]["command"] == ["python3", "-m", "pipelines.cluster.train_step"]
    (job,) = [one["value"] for one in pod["container"]["env"] if one["name"] == "ACTIVELORA_TRAIN_JOB"]
    assert json.loads(job) == job_template(ON_NODES, images())
    assert "{{" not in argo_text([json.loads(job)])


def test_what_refers_to_nothing_or_is_decided_otherwise_is_not_passed_over():
    template = template_of(RESOURCES)
    (task,) = [one for one in template["spec"]["templates"][0]["dag"]["tasks"] if "when" in one]
    task["when"] = "{{tasks.plan.outputs.parameters.nothing}} == true"
    with pytest.raises(ValueError, match="a reference to what is not there"):
        idle(template)
    task["when"] = "1 == 1"
    with pytest.raises(ValueError, match="a condition of another form"):
        idle(template)
    task["dependencies"] = [task["name"]]
    with pytest.raises(ValueError, match="wait for each other"):
        idle(template)


class Node:
    """A node of a cluster without a cluster: runs the commands of pods, and reads what they put out.

    Args:
        folder: Folder for outputs.
        in_processes: Whether each command is a process of its own.
    """

    def __init__(self, folder, *, in_processes=False):
        self._folder = folder
        self._in_processes = in_processes
        self.ran = []

    def __call__(self, name, command):
        self.ran.append(name)
        folder = self._folder / str(len(self.ran))
        command = [one.replace(OUTPUTS, str(folder)) for one in command]
        python, dash_m, module, *arguments = command
        assert (python, dash_m) == ("python3", "-m")
        if self._in_processes:
            subprocess.run([sys.executable, *command[1:]], check=True, timeout=120)
        else:
            {"components.run_step": run_step, "pipelines.cluster.train_step": train_step}[module].main(arguments)
        return {path.name: path.read_text() for path in folder.iterdir()} if folder.exists() else {}


@pytest.fixture
def make(tmp_path, tiny_model_path):
    def make(name: str, **sections: object) -> Campaign:
        return Campaign.create(str(tmp_path / name), tiny_config(tmp_path, tiny_model_path, **sections))

    return make


def test_its_commands_leave_what_the_inline_engine_leaves(make, tmp_path):
    alone, piped = make("alone"), make("piped")
    expected = inline.run_campaign(alone)
    node = Node(tmp_path / "node")
    for _ in range(9):
        cost = cost_of(template_of(RESOURCES), {"campaign-uri": piped.store.uri}, node)
        if [step for step, _ in cost.steps] == ["plan"]:
            break
    assert stop_reason(piped) == expected.reason
    assert digests(piped) == digests(alone)
    assert node.ran.count("score-pool") >= 2


@pytest.mark.slow
def test_its_commands_are_processes_of_their_own(make, tmp_path):
    random = {"batch_size": 4, "strategy": "random"}
    alone, piped = (make(name, acquisition=random, stopping={"max_rounds": 1}) for name in ("alone", "piped"))
    expected = inline.run_campaign(alone)
    node = Node(tmp_path / "node", in_processes=True)
    for _ in range(4):
        cost_of(template_of(RESOURCES), {"campaign-uri": piped.store.uri}, node)
        if stop_reason(piped):
            break
    assert stop_reason(piped) == expected.reason
    assert digests(piped) == digests(alone)
