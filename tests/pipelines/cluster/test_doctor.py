"""The doctor against a fake of Kubernetes' API (see fake_kubernetes), and against a real cluster where there is one."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from activelora.config import ResourcesConfig, StepResources
from components.image import Images
from pipelines.cluster.kube import Kube
from pipelines.doctor.container_registry import Image, check_image, parse_image
from pipelines.doctor.doctor import examine
from pipelines.doctor.nodes import check_nodes, misfits
from tests.pipelines.cluster.fake_kubernetes import RUNS, deployment, node, running_fake_kubernetes
from tests.pipelines.conftest import make_config
from tests.tiny_nli import write_tiny_nli

RESOURCES = {
    "config_map": "activelora-config",
    "secrets": ["activelora-s3"],
    "service_account": "activelora-steps",
    "queue": "activelora",
    "notify": {"secret": "activelora-notify"},
    "model_cache": {"claim": "models"},
    "parallel_shards": 2,
}
DEPLOYMENTS = "/apis/apps/v1/namespaces/kubeflow/deployments"
GPU = {"key": "nvidia.com/gpu", "effect": "NoSchedule"}


class Registry(BaseHTTPRequestHandler):
    """A registry that gives anonymous tokens, as public ones do."""

    def do_HEAD(self) -> None:
        if "/private/" in self.path:
            return self._send(403)
        if self.headers.get("Authorization") != "Bearer anonymous":
            realm = f"http://127.0.0.1:{self.server.server_address[1]}/token"
            return self._send(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="x",scope="pull"'})
        there = self.path.endswith("/manifests/1.0")
        return self._send(200 if there else 404, {"Docker-Content-Digest": "sha256:abc"})

    def do_GET(self) -> None:
        self._send(200, {"Content-Type": "application/json"}, b'{"token": "anonymous"}')

    def _send(self, status, headers=None, body=b"") -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def registry():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A cluster on which all is well."""
    with running_fake_kubernetes() as fake:
        monkeypatch.setenv("KUBECONFIG", str(fake.write_kubeconfig(tmp_path)))
        versions = [{"version": "v1beta2", "groupVersion": "kueue.x-k8s.io/v1beta2"}]
        group = {"name": "kueue.x-k8s.io", "versions": versions, "preferredVersion": versions[0]}
        argo = {"name": "argoproj.io", "versions": [{"version": "v1alpha1"}]}
        fake.objects |= {
            "/version": {"gitVersion": "v1.37.0"},
            "/api/v1/namespaces/kubeflow": {},
            "/apis": {"groups": [group, argo]},
            "/apis/kueue.x-k8s.io": group,
            "/apis/kueue.x-k8s.io/v1beta2/namespaces/kubeflow/localqueues": {
                "items": [{"metadata": {"name": "activelora"}}]
            },
            f"{DEPLOYMENTS}/ml-pipeline": deployment("ghcr.io/kubeflow/kfp-api-server:2.17.0"),
            f"{DEPLOYMENTS}/workflow-controller": deployment("quay.io/a/b:v4.0.5", DEFAULT_REQUEUE_TIME="2s"),
            f"{RUNS}/serviceaccounts/activelora-steps": {},
            f"{RUNS}/persistentvolumeclaims/models": {"spec": {"accessModes": ["ReadWriteMany"]}},
            "/api/v1/nodes": {"items": [node("cpu"), node("gpu", gpus=4)]},
            "/apis/discovery.k8s.io/v1/namespaces/activelora/endpointslices": {
                "items": [{"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]}]
            },
        }
        fake.put_keys("secrets", "activelora-s3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        fake.put_keys("secrets", "activelora-notify", "WEBHOOK_URL")
        fake.put_keys("configmaps", "activelora-config", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION")
        data = fake.objects[f"{RUNS}/configmaps/activelora-config"]["data"]
        data["MLFLOW_TRACKING_URI"] = "http://mlflow.activelora.svc.cluster.local:5000"
        yield fake


@pytest.fixture
def found(fake, kfp, registry, tmp_path):
    def found(**sections):
        config = make_config(**{"resources": RESOURCES, "tracking": {"enabled": True}, **sections})
        images = Images(f"{registry}/activelora-cpu:1.0", f"{registry}/activelora-gpu:1.0")
        findings = list(examine(config, "kubeflow", images, campaign_uri=str(tmp_path), endpoint=kfp.url))
        return {one.check: one for one in findings}

    return found


def test_all_is_well(found, fake):
    findings = found()
    assert {check: one for check, one in findings.items() if one.state != "ok"} == {}
    assert findings["API"].words == f"{fake.url} is Kubernetes v1.37.0"
    assert findings["types of kueue.x-k8s.io"].words == "v1beta2"
    assert findings["MLflow"].words == "Service mlflow in activelora has 1 ready pod(s)"
    assert findings["nodes for resources.train"].words == "1 of 2 nodes fit, with 4 × nvidia.com/gpu"
    asked = [one["spec"]["resourceAttributes"] for one in fake.reviews]
    assert {"verb": "get", "resource": "pods", "subresource": "log", "group": "", "namespace": "kubeflow"} in asked


@pytest.mark.parametrize(
    ("path", "check", "words"),
    [
        ("/api/v1/namespaces/kubeflow", "namespace", "there is no kubeflow"),
        (f"{RUNS}/serviceaccounts/activelora-steps", "service account activelora-steps", "is not there"),
        (f"{RUNS}/persistentvolumeclaims/models", "volume claim models", "is not there"),
        (f"{RUNS}/secrets/activelora-s3", "secret activelora-s3", "is not in kubeflow"),
        (f"{RUNS}/secrets/activelora-notify", "secret activelora-notify", "is not in kubeflow"),
        ("/apis/kueue.x-k8s.io/v1beta2/namespaces/kubeflow/localqueues", "queue activelora", "is not there"),
        ("/apis/discovery.k8s.io/v1/namespaces/activelora/endpointslices", "MLflow", "has no ready pod"),
    ],
)
def test_what_is_missing_is_named_with_a_remedy(found, fake, path, check, words):
    del fake.objects[path]
    finding = found()[check]
    assert finding.state == "failed"
    assert words in finding.words
    assert finding.remedy


def test_a_secret_with_a_wrong_key(found, fake):
    fake.put_keys("secrets", "activelora-s3", "AWS_ACCESS_KEY_ID", "aws_secret_access_key")
    finding = found()["secret activelora-s3"]
    assert (finding.state, finding.words) == ("failed", "lacks AWS_SECRET_ACCESS_KEY")


def test_every_secret_that_a_pod_gets_is_looked_at(found, fake):
    own = {
        "HF_TOKEN": {"name": "hub", "key": "token"},
        "MLFLOW_TRACKING_TOKEN": {"name": "activelora-s3"},
        "LABEL_STUDIO_API_KEY": {"name": "labels"},
    }
    fake.put_keys("secrets", "hub", "Token")
    fake.put_keys("secrets", "labels", "LABEL_STUDIO_API_KEY")
    findings = found(resources={**RESOURCES, "secret_env": own})
    assert (findings["secret hub"].state, findings["secret hub"].words) == ("failed", "lacks token")
    assert findings["secret activelora-s3"].words == "lacks MLFLOW_TRACKING_TOKEN"
    assert findings["secret labels"].words == "has LABEL_STUDIO_API_KEY"
    assert not any("c2VjcmV0" in f"{one.words}{one.remedy}" for one in findings.values())


def test_priorities_need_their_class_and_the_policy(found, fake):
    own = {"cpu": {"priority_class": "low"}, "train": {"accelerator_type": "nvidia.com/gpu", "priority_class": "high"}}
    findings = found(resources={**RESOURCES, **own})
    checks = ("priority class low", "priority policy", "Kueue's priority class high")
    assert [findings[check].state for check in checks] == ["failed"] * 3
    assert "manifests/components/priority" in findings["priority policy"].remedy
    fake.objects["/apis/scheduling.k8s.io/v1/priorityclasses/low"] = {}
    fake.objects["/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies/activelora-priority"] = {}
    fake.objects["/apis/kueue.x-k8s.io/v1beta2/workloadpriorityclasses/high"] = {}
    findings = found(resources={**RESOURCES, **own})
    assert [findings[check].state for check in checks] == ["ok"] * 3


def test_a_model_in_an_object_store_is_looked_for(found, tiny_model_path, s3_uri):
    from activelora.modeling.published import cached_model_uri, publish

    model = {"base": f"{s3_uri}/tiny"}
    assert found(model=model)["model"].state == "failed"
    assert "activelora model push" in found(model=model)["model"].remedy
    publish(tiny_model_path, f"{s3_uri}/tiny", "tiny")
    assert "holds tiny" in found(model=model)["model"].words
    cached = {"resources": {"model_cache": {"uri": s3_uri}}, "model": {"base": "owner/tiny"}}
    assert (found(**cached)["model"].state, found(**cached)["model"].remedy) == (
        "warning",
        "The first run publishes it.",
    )
    publish(tiny_model_path, cached_model_uri(s3_uri, "owner/tiny", None), "owner/tiny")
    findings = found(**cached)
    assert findings["model"].state == "ok"
    assert "NLI model" not in findings


def test_a_model_that_compares_answers_is_looked_for_too(found, tmp_path, s3_uri):
    from activelora.modeling.published import publish

    sections = {
        "task": {"kind": "generation", "prompt": "{text}"},
        "acquisition": {"strategy": "uncertainty", "measure": "semantic_entropy"},
        "scoring": {"nli": {"model": f"{s3_uri}/nli"}},
    }
    assert found(**sections)["NLI model"].state == "failed"
    publish(write_tiny_nli(tmp_path), f"{s3_uri}/nli", "tiny NLI")
    findings = found(**sections)
    assert "holds tiny NLI" in findings["NLI model"].words
    assert "model" not in findings


def test_room_is_told_by_what_pods_have_asked_for(found, fake):
    spec = {"containers": [{"resources": {"requests": {"nvidia.com/gpu": "4"}}}], "nodeName": "gpu"}
    fake.objects["/api/v1/pods"] = {"items": [{"spec": spec, "status": {"phase": "Running"}}]}
    findings = found()
    assert findings["nodes for resources.train"].state == "ok"
    assert findings["room for resources.train"].words.endswith("gpu has 0 of 1 nvidia.com/gpu")
    fake.forbidden = {"/api/v1/pods"}
    findings = found()
    assert "room for resources.train" not in findings
    assert findings["room"].state == "warning"


def test_quotas_versions_and_clock_are_looked_at(found, fake):
    fake.seconds_ahead = 60
    fake.objects[f"{RUNS}/limitranges"] = {
        "items": [{"metadata": {"name": "small"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}}]
    }
    fake.objects[f"{DEPLOYMENTS}/workflow-controller"] = deployment("quay.io/a/b:v3.6.0")
    findings = found()
    assert findings["limit range small"].state == "failed"
    checks = ("clock", "version of Argo Workflows", "Argo's requeue time")
    assert [findings[check].state for check in checks] == ["warning"] * 3


def test_types_that_are_not_installed(found, fake):
    fake.objects["/apis"] = {"groups": []}
    findings = found()
    assert findings["types of argoproj.io"].state == "failed"
    assert findings["types of kueue.x-k8s.io"].state == "failed"
    assert findings["types of trainer.kubeflow.org"].state == "ok"


def test_missing_rights_are_named_and_the_rest_goes_on(found, fake):
    fake.denied = {("list", "nodes"), ("get", "pods/log")}
    fake.forbidden = {"/api/v1/nodes"}
    findings = found()
    assert findings["rights"].words == "this account may not get pods/log, list nodes in kubeflow"
    assert findings["nodes"].state == "warning"
    assert "403" in findings["nodes"].words
    assert findings["MLflow"].state == "ok"


def test_servers_in_the_cluster_are_looked_for_as_pods_see_them(found, fake):
    data = fake.objects[f"{RUNS}/configmaps/activelora-config"]["data"]
    data["AWS_ENDPOINT_URL_S3"] = "http://seaweedfs.activelora.svc.cluster.local:8333"
    people = {"source": "label_studio", "label_studio": {"url": "http://label-studio.activelora.svc:8080"}}
    findings = found(labeling=people)
    assert findings["Label Studio"].words == "Service label-studio in activelora has 1 ready pod(s)"
    assert findings["object store"].words == "Service seaweedfs in activelora has 1 ready pod(s)"
    asked = [one.partition("service-name%3D")[2] for one in fake.requests if "endpointslices" in one]
    assert asked == ["mlflow", "label-studio", "seaweedfs"]
    del fake.objects["/apis/discovery.k8s.io/v1/namespaces/activelora/endpointslices"]
    findings = found(labeling=people)
    assert [findings[name].state for name in ("MLflow", "Label Studio", "object store")] == ["failed"] * 3
    assert "logs svc/seaweedfs" in findings["object store"].remedy


TRAINJOBS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trainjobs.trainer.kubeflow.org"
RUNTIME = "/apis/trainer.kubeflow.org/v1alpha1/clustertrainingruntimes/torch-distributed"
SEVERAL = {**RESOURCES, "train": {"num_nodes": 2, "accelerator_type": "nvidia.com/gpu", "accelerator_count": 2}}


def train_job_type(*fields):
    spec = {"properties": {"spec": {"properties": {name: {} for name in fields}}}}
    return {"spec": {"versions": [{"name": "v1alpha1", "schema": {"openAPIV3Schema": spec}}]}}


@pytest.fixture
def with_trainer(fake):
    fake.objects |= {TRAINJOBS: train_job_type("trainer", "runtimePatches", "activeDeadlineSeconds"), RUNTIME: {}}
    return fake


def test_training_on_several_nodes_is_looked_at_where_it_is_asked_for(found, with_trainer):
    assert "TrainJob" not in found()
    findings = found(resources=SEVERAL)
    named = ("TrainJob", "runtime torch-distributed", "rights of activelora-steps")
    assert [findings[name].state for name in named] == ["ok", "ok", "ok"]
    asked = [one["spec"] for one in with_trainer.reviews if one["kind"] == "SubjectAccessReview"]
    assert {one["user"] for one in asked} == {"system:serviceaccount:kubeflow:activelora-steps"}
    assert {one["resourceAttributes"]["verb"] for one in asked} == {"get", "create", "patch", "delete", "list"}


def test_a_cluster_that_cannot_train_on_several_nodes(found, with_trainer):
    with_trainer.denied = {("create", "trainjobs")}
    del with_trainer.objects[RUNTIME]
    with_trainer.objects[TRAINJOBS] = train_job_type("trainer", "podTemplateOverrides")
    findings = found(resources=SEVERAL)
    assert "older than 2.2" in findings["TrainJob"].words
    assert findings["runtime torch-distributed"].state == "failed"
    assert findings["rights of activelora-steps"].words == "it may not create trainjobs in kubeflow"
    assert "components/trainer" in findings["rights of activelora-steps"].remedy
    del with_trainer.objects[TRAINJOBS]
    finding = found(resources=SEVERAL)["TrainJob"]
    assert (finding.state, finding.words) == ("failed", "Kubeflow Trainer is not installed")


def test_the_rights_of_others_may_be_hidden(found, with_trainer):
    with_trainer.forbidden = {"/apis/authorization.k8s.io/v1/subjectaccessreviews", TRAINJOBS}
    findings = found(resources=SEVERAL)
    assert findings["rights of activelora-steps"].state == "warning"
    assert findings["TrainJob"].words == "Kubeflow Trainer is not installed"
    with_trainer.objects["/apis/trainer.kubeflow.org/v1alpha1"] = {}
    assert found(resources=SEVERAL)["TrainJob"].state == "warning"


def test_nodes_for_a_training_on_several_of_them(found, with_trainer):
    """Two pods of two GPUs fit one node of four; the pod that starts them needs none."""
    assert found(resources=SEVERAL)["nodes for resources.train"].state == "ok"
    more = {**SEVERAL, "train": {**SEVERAL["train"], "num_nodes": 3}}
    finding = found(resources=more)["nodes for resources.train"]
    assert finding.state == "failed"
    assert "3 pods with 2 each" in finding.words


def test_the_pipelines_api_is_asked_as_the_other_commands_do(found, kfp):
    assert found()["Kubeflow Pipelines"].words == f"{kfp.url} answers"
    assert "GET /healthz" in kfp.calls
    kfp.token = "another"
    finding = found()["Kubeflow Pipelines"]
    assert finding.state == "failed"
    assert "answered 401" in finding.words
    assert "ACTIVELORA_KFP_TOKEN" in finding.remedy


def test_an_address_that_is_none_is_named(fake, registry, tmp_path):
    images = Images(f"{registry}/activelora-cpu:1.0", f"{registry}/activelora-gpu:1.0")
    findings = {one.check: one for one in examine(make_config(), "kubeflow", images, endpoint="here")}
    finding = findings["Kubeflow Pipelines"]
    assert (finding.state, finding.remedy) == ("failed", "Write http://host:port.")


def test_no_cluster_at_all(fake, kfp, registry, tmp_path):
    (tmp_path / "kubeconfig").unlink()
    images = Images(f"{registry}/a:1.0", f"{registry}/b:1.0")
    findings = list(examine(make_config(), "kubeflow", images, campaign_uri=str(tmp_path)))
    assert [one.check for one in findings][:3] == ["API", "Kubeflow Pipelines", "storage"]
    assert findings[0].state == "failed"
    assert "KUBECONFIG" in findings[0].remedy
    assert findings[1].state == "warning"
    assert "KF_PIPELINES_ENDPOINT" in findings[1].remedy


def test_nodes_that_do_not_fit_say_why():
    wanted = StepResources(accelerator_type="nvidia.com/gpu", memory="80Gi", node_selector={"pool": "a100"})
    assert misfits(node("n", gpus=8, memory="100Gi", labels={"pool": "a100"}), wanted) == []
    assert misfits(node("n", memory="64Gi"), wanted) == [
        "no label pool=a100",
        "too little memory",
        "too little nvidia.com/gpu",
    ]
    tainted = node("n", gpus=8, memory="100Gi", labels={"pool": "a100"}, taints=[GPU], unschedulable=True)
    assert misfits(tainted, wanted) == ["cordoned", "taint nvidia.com/gpu=:NoSchedule"]


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"key": "nvidia.com/gpu"}, True),
        ({"key": "nvidia.com/gpu", "effect": "NoSchedule"}, True),
        ({"key": "nvidia.com/gpu", "effect": "NoExecute"}, False),
        ({"key": "nvidia.com/gpu", "operator": "Equal", "value": "yes"}, False),
        ({"key": "other"}, False),
    ],
)
def test_tolerations(toleration, fits):
    wanted = StepResources.model_validate({"tolerations": [toleration]})
    assert (misfits(node("n", taints=[GPU]), wanted) == []) is fits


def test_more_shards_than_accelerators_is_a_warning():
    resources = ResourcesConfig(parallel_shards=4)
    findings = {one.check: one for one in check_nodes([node("cpu"), node("gpu", gpus=2)], resources)}
    assert findings["nodes for resources.score"].state == "warning"
    assert "parallel_shards to 2" in findings["nodes for resources.score"].remedy
    assert findings["nodes for resources.train"].state == "ok"
    assert {one.state for one in check_nodes([], resources)} == {"failed"}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("ghcr.io/activelora/activelora-cpu:0.1.0", Image("ghcr.io", "activelora/activelora-cpu", "0.1.0")),
        ("localhost:5000/a/b:1@sha256:cd", Image("localhost:5000", "a/b", "sha256:cd")),
        ("postgres:17", Image("registry-1.docker.io", "library/postgres", "17")),
        ("docker.io/library/postgres:17", Image("registry-1.docker.io", "library/postgres", "17")),
    ],
)
def test_image_names(name, parts):
    assert parse_image(name) == parts


def test_images(registry):
    assert check_image(f"{registry}/a/b:1.0").words == "is there, sha256:abc"
    assert check_image(f"{registry}/a/b:2.0").state == "failed"
    assert check_image(f"{registry}/private/b:1.0").state == "failed"
    assert check_image(f"{registry}/private/b:1.0", has_pull_secret=True).state == "warning"
    assert check_image("127.0.0.1:9/a:1").state == "warning"


@pytest.mark.cluster
def test_a_real_cluster_answers():
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG points at no cluster")
    kube = Kube()
    assert (kube.get("/version") or {})["gitVersion"].startswith("v1.")
    assert isinstance(kube.may("list", "pods", "default"), bool)
