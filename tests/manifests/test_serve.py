"""The server of a model, as a Deployment and as KServe's InferenceService; in no overlay, under the overlays' rules."""

from __future__ import annotations

import re
import shutil

import pytest
import yaml
from typer.testing import CliRunner

from activelora import __version__
from activelora.prediction.serving.guard import TOKEN_VARIABLE
from activelora.prediction.serving.limits import Limits
from activelora.prediction.serving.request_log import Pace
from pipelines.cli.main import app
from tests.manifests.rendered import MANIFESTS, build, exceptions, name_of

COMPONENTS = {"serve": "Deployment", "serve-kserve": "InferenceService"}


@pytest.fixture(scope="module", params=COMPONENTS)
def resources(request, tmp_path_factory):
    """What kustomize makes of the component beside what runs need."""
    folder = tmp_path_factory.mktemp(request.param)
    for part in ("base", "runs", f"components/{request.param}"):
        shutil.copytree(MANIFESTS / part, folder / part)
    document = {"resources": ["base", "runs"], "components": [f"components/{request.param}"]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    found = [one for one in yaml.safe_load_all(build(folder)) if one]
    assert COMPONENTS[request.param] in {one["kind"] for one in found}
    return found


@pytest.fixture(scope="module")
def server(resources):
    (one,) = [one for one in resources if one["kind"] in COMPONENTS.values()]
    return one


@pytest.fixture(scope="module")
def pod(server):
    if server["kind"] == "Deployment":
        return server["spec"]["template"]["spec"]
    own = ("minReplicas", "maxReplicas", "timeout")  # KServe's; the rest is a pod's
    return {key: value for key, value in server["spec"]["predictor"].items() if key not in own}


@pytest.mark.parametrize("version", ["1.37", "1.36", "1.35"])
def test_kubernetes_knows_every_field(resources, pod, version):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    for resource in resources:
        if not resource["apiVersion"].startswith("serving.kserve.io/"):
            kubernetes_validate.validate(resource, version, strict=True)
    alone = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}
    kubernetes_validate.validate(alone, version, strict=True)


def test_the_container_may_do_nothing_special_and_is_bounded(server, pod):
    context = pod["securityContext"]
    assert (context["runAsNonRoot"], context["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert context["runAsUser"] > 0
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    own = container["securityContext"]
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(container["resources"]["requests"]) & set(container["resources"]["limits"])
    assert container["image"] == f"ghcr.io/activelora/activelora-cpu:{__version__}"
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    assert exceptions(server) == {}


def test_it_asks_for_nothing_that_is_not_there(resources, pod):
    there = {name_of(one) for one in resources}
    assert f"ServiceAccount/kubeflow/{pod['serviceAccountName']}" in there
    (container,) = pod["containers"]
    sources = [one["configMapRef"]["name"] for one in container["envFrom"]]
    assert {f"ConfigMap/kubeflow/{name}" for name in sources} <= there
    assert all("valueFrom" in one for one in container["env"])  # secrets are named, never written down
    assert TOKEN_VARIABLE in {one["name"] for one in container["env"]}


def test_its_command_and_its_probes_are_the_servers(pod):
    (container,) = pod["containers"]
    program, command, model, *options = container["command"]
    assert (program, command, model) == ("activelora", "serve", "$(MODEL)")
    said = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    assert all(option in said for option in options if option.startswith("--"))
    port = int(options[options.index("--port") + 1])
    assert container["ports"][0]["containerPort"] == port
    paths = {key: container[key]["httpGet"]["path"] for key in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths["readinessProbe"] == "/v2/health/ready"
    assert paths["startupProbe"] == paths["livenessProbe"] == "/v2/health/live"
    # Longer than what it does at the end: it drains, answers, and writes the last file.
    drain = float(options[options.index("--drain-seconds") + 1])
    limits = Limits()
    assert (
        pod["terminationGracePeriodSeconds"] > drain + limits.answer_seconds + limits.body_seconds + Pace().stop_seconds
    )
    assert drain > container["readinessProbe"]["periodSeconds"] * container["readinessProbe"].get("failureThreshold", 3)


def test_only_those_who_may_can_reach_it(resources, server):
    (policy,) = [
        one
        for one in resources
        if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == server["metadata"]["name"]
    ]
    labels = server["spec"].get("template", {}).get("metadata", {}).get("labels")
    # KServe puts this label on the pods of a service.
    labels = labels or {"serving.kserve.io/inferenceservice": server["metadata"]["name"]}
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    for rule in policy["spec"]["ingress"]:
        assert all("namespaceSelector" in one for one in rule["from"])
        assert [one["port"] for one in rule["ports"]] == [8080]
    blocks = [one["ipBlock"] for rule in policy["spec"]["egress"] for one in rule["to"] if "ipBlock" in one]
    assert all("169.254.0.0/16" in block["except"] for block in blocks)


def test_both_are_one_server():
    """The two files differ in what is around the pod only."""
    files = {name: next((MANIFESTS / "components" / name).glob("*e.yaml")).read_text() for name in COMPONENTS}
    bodies = {}
    for name, text in files.items():
        found = {one["kind"]: one for one in yaml.safe_load_all(text)}
        spec = found[COMPONENTS[name]]["spec"]
        spec = spec["template"]["spec"] if name == "serve" else spec["predictor"]
        own = ("minReplicas", "maxReplicas", "timeout")
        bodies[name] = {key: value for key, value in spec.items() if key not in own}
        for container in bodies[name]["containers"]:
            container.pop("name")
            container["ports"][0].pop("protocol", None)
    assert bodies["serve"] == bodies["serve-kserve"]
    assert re.search(r"name: kserve-container", files["serve-kserve"])
