"""Every overlay builds, is what Kubernetes accepts, and keeps the rules of a careful operator."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from activelora import __version__
from activelora.config.section import DNS_LABEL
from tests.manifests.rendered import (
    MANIFESTS,
    OVERLAYS,
    WORKLOADS,
    build,
    containers,
    exceptions,
    name_of,
    pods,
    resources,
)

# Resources that other projects define: Kubernetes' own schemas do not know them.
FOREIGN = (
    "argoproj.io",
    "external-secrets.io",
    "kubeflow.org",
    "kueue.x-k8s.io",
    "monitoring.coreos.com",
    "pipelines.kubeflow.org",
)
VERSIONS = ("1.37", "1.36", "1.35")


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request):
    return request.param


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(overlay, version):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    checked = 0
    for resource in resources(overlay):
        if resource["apiVersion"].partition("/")[0] in FOREIGN:
            continue
        kubernetes_validate.validate(resource, version, strict=True)
        checked += 1
    assert checked > 15


@pytest.mark.parametrize("version", ["1.37", "1.36"])
def test_the_priority_policy_is_known_and_goes_by_the_pods_labels(version, tmp_path):
    """It is in no overlay, because it needs Kubernetes 1.36."""
    from pipelines.graphs.pods import POD_LABELS, PRIORITY_LABEL

    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    found = list(yaml.safe_load_all((MANIFESTS / "components" / "priority" / "priority.yaml").read_text()))
    for resource in found:
        kubernetes_validate.validate(resource, version, strict=True)
    (policy,) = [one["spec"] for one in found if one["kind"] == "MutatingAdmissionPolicy"]
    assert policy["matchConstraints"]["objectSelector"] == {
        "matchLabels": POD_LABELS,
        "matchExpressions": [{"key": PRIORITY_LABEL, "operator": "Exists"}],
    }
    assert f'labels["{PRIORITY_LABEL}"]' in policy["mutations"][0]["jsonPatch"]["expression"]


def test_a_wrong_field_would_be_found():
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    wrong = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}, "speck": {}}
    with pytest.raises(kubernetes_validate.ValidationError, match="speck"):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_the_newest_and_two_older_versions_are_checked():
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    assert kubernetes_validate.latest_version().startswith(VERSIONS[0])


def test_no_two_resources_have_one_name(overlay):
    names = [name_of(one) for one in resources(overlay)]
    assert sorted(set(names)) == sorted(names)


def test_containers_may_do_nothing_special(overlay):
    for resource, pod in pods(overlay):
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True, name_of(resource)
        assert context["runAsUser"] > 0, name_of(resource)
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name_of(resource)
        assert pod["automountServiceAccountToken"] is False, name_of(resource)
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name_of(resource)
        assert not any("hostPath" in volume for volume in pod.get("volumes", ())), name_of(resource)
        for container in containers(pod):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name_of(resource)
            assert own["capabilities"] == {"drop": ["ALL"]}, name_of(resource)
            assert own["runAsNonRoot"] is True, name_of(resource)
            if not own["readOnlyRootFilesystem"]:
                assert "read-only-root" in exceptions(resource), name_of(resource)


def test_containers_have_limits_and_probes(overlay):
    for resource, pod in pods(overlay):
        for container in containers(pod):
            for bound in ("requests", "limits"):
                assert {"cpu", "memory"} <= set(container["resources"][bound]), name_of(resource)
        for container in pod["containers"]:
            if not {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container):
                assert "probes" in exceptions(resource), name_of(resource)


def test_exceptions_are_few_and_have_reasons():
    found = {
        (name_of(one), rule): why
        for overlay in OVERLAYS
        for one in resources(overlay)
        for rule, why in exceptions(one).items()
    }
    assert all(len(why) > 5 for why in found.values())
    assert {(name.split("/")[-1], rule) for name, rule in found} == {
        ("label-studio", "read-only-root"),
        ("seaweedfs-buckets", "probes"),
        ("activelora-registrar-0-2-0", "probes"),
    }


def test_images_are_pinned(overlay):
    found = set(re.findall(r"^\s*(?:- )?image: (\S+)$", build(MANIFESTS / "overlays" / overlay), re.MULTILINE))
    assert found
    for image in found:
        name, _, tag = image.strip("\"'").rpartition(":")
        assert name, image
        assert re.match(r"v?\d+\.\d+", tag), image
        if "activelora/" in image:
            assert tag == __version__


def test_no_secret_is_written_down(overlay):
    for resource in resources(overlay):
        assert resource["kind"] != "Secret"
    for resource, pod in pods(overlay):
        for container in containers(pod):
            for variable in container.get("env", ()):
                secret = re.search(r"PASSWORD|SECRET|TOKEN$|ACCESS_KEY", variable["name"])
                assert not (secret and "value" in variable), f"{name_of(resource)}: {variable['name']}"
    for resource in resources(overlay):
        if resource["kind"] == "ConfigMap":
            words = json.dumps(resource["data"])
            assert not re.search(r"://[^/\s\"]+:[^/\s\"]+@", words), name_of(resource)


def test_nothing_talks_unless_allowed(overlay):
    policies = [one for one in resources(overlay) if one["kind"] == "NetworkPolicy"]
    denied = [one for one in policies if one["metadata"]["name"] == "default-deny"]
    assert [one["spec"] for one in denied] == [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]
    for resource, _ in pods(overlay):
        labels = resource["spec"]["template"]["metadata"]["labels"]
        namespace = resource["metadata"]["namespace"]
        matching = [
            one
            for one in policies
            if one["metadata"]["namespace"] == namespace
            and (wanted := one["spec"]["podSelector"].get("matchLabels"))
            and wanted.items() <= labels.items()
        ]
        assert matching, f"{name_of(resource)} has no policy of its own"


def test_roles_are_narrow(overlay):
    for resource in resources(overlay):
        for rule in resource.get("rules", ()) if resource["kind"] in ("Role", "ClusterRole") else ():
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]], name_of(resource)
            if "secrets" in rule["resources"]:
                assert rule["resourceNames"], name_of(resource)
                assert rule["verbs"] == ["get"], name_of(resource)


def test_every_binding_meets_a_role_and_an_account(overlay):
    there = {name_of(one) for one in resources(overlay)}
    for resource in resources(overlay):
        if resource["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            namespace = resource["metadata"].get("namespace")
            role = resource["roleRef"]
            assert "/".join(filter(None, (role["kind"], namespace, role["name"]))) in there
            for subject in resource["subjects"]:
                place = subject.get("namespace", namespace)
                assert f"ServiceAccount/{place}/{subject['name']}" in there, name_of(resource)


def test_no_name_of_what_makes_pods_has_a_dot(overlay):
    """Kubernetes warns of a job whose name is no DNS label, since its pods' hostnames are made of it."""
    in_no_overlay = [
        one
        for file in (MANIFESTS / "components").glob("*/*.yaml")
        for one in yaml.safe_load_all(file.read_text())
        if one
    ]
    found = [
        one["metadata"]["name"]
        for one in [*resources(overlay), *in_no_overlay]
        if one["kind"] in {*WORKLOADS, "CronJob", "CronWorkflow", "InferenceService"}
    ]
    assert {"activelora-tick", "activelora-serve"} <= set(found)
    assert [name for name in found if not re.fullmatch(DNS_LABEL, name)] == []
    registrars = {name for name in found if name.startswith("activelora-registrar")}
    assert registrars == {f"activelora-registrar-{__version__.replace('.', '-')}"}


def test_services_and_claims_are_there(overlay):
    """What pods mount and what Services select exists; secrets are made by hand or by a vault."""
    found = resources(overlay)
    there = {name_of(one) for one in found}
    for resource, pod in pods(overlay):
        namespace = resource["metadata"]["namespace"]
        assert f"ServiceAccount/{namespace}/{pod['serviceAccountName']}" in there
        volumes = pod.get("volumes", ())
        names = [f"ConfigMap/{namespace}/{one['configMap']['name']}" for one in volumes if "configMap" in one]
        names += [
            f"PersistentVolumeClaim/{namespace}/{one['persistentVolumeClaim']['claimName']}"
            for one in volumes
            if "persistentVolumeClaim" in one
        ]
        for container in containers(pod):
            names += [
                f"ConfigMap/{namespace}/{one['configMapRef']['name']}"
                for one in container.get("envFrom", ())
                if "configMapRef" in one and not one["configMapRef"].get("optional")
            ]
        assert set(names) <= there, name_of(resource)
    labels = [(one["metadata"]["namespace"], one["spec"]["template"]["metadata"]["labels"]) for one, _ in pods(overlay)]
    for service in (one for one in found if one["kind"] == "Service"):
        selector = service["spec"]["selector"].items()
        assert any(selector <= own.items() and place == service["metadata"]["namespace"] for place, own in labels)


def test_staging_and_production_need_the_same_secrets():
    """What production fetches from the vault is what its pods name."""
    fetched = {
        (one["metadata"]["namespace"], one["spec"]["target"]["name"]): {
            pair["secretKey"] for pair in one["spec"]["data"]
        }
        for one in resources("production")
        if one["kind"] == "ExternalSecret"
    }
    for resource, pod in pods("production"):
        for container in containers(pod):
            for variable in container.get("env", ()):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    assert reference["key"] in fetched[resource["metadata"]["namespace"], reference["name"]]
            for source in container.get("envFrom", ()):
                if "secretRef" in source:
                    assert (resource["metadata"]["namespace"], source["secretRef"]["name"]) in fetched


def test_production_fetches_what_its_campaign_names():
    from activelora.config.secrets import NEEDED_BY, SECRET_KEYS
    from activelora.rules.file import load_with_settings

    fetched = {
        one["spec"]["target"]["name"]: {pair["secretKey"] for pair in one["spec"]["data"]}
        for one in resources("production")
        if one["kind"] == "ExternalSecret" and one["metadata"]["namespace"] == "kubeflow"
    }
    wanted = load_with_settings(MANIFESTS / "overlays" / "production" / "campaign.yaml", []).resources
    assert wanted.secret_env
    for name in wanted.secrets:
        assert set(SECRET_KEYS) <= fetched[name]
    for variable, source in wanted.secret_env.items():
        assert (source.key or variable) in fetched[source.name]
    everything = set().union(*fetched.values())
    assert set(NEEDED_BY) - {"MLFLOW_TRACKING_TOKEN"} <= everything  # a login has a name and a password, or a token


def test_mlflow_answers_to_every_name_that_clients_use(overlay):
    found = {name_of(one): one for one in resources(overlay)}
    allowed = found["ConfigMap/activelora/mlflow-config"]["data"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    configs = [one["data"] for name, one in found.items() if name.endswith("/activelora-config")]
    assert configs
    for data in configs:
        assert data["MLFLOW_TRACKING_URI"].removeprefix("http://") in allowed


def test_the_pipelines_are_those_of_this_version(tmp_path):
    """On failure, run the command in manifests/components/pipelines/kustomization.yaml."""
    from activelora.rules.file import load_with_settings
    from components.image import images
    from pipelines.graphs.compile import compile_manifest

    config = load_with_settings(MANIFESTS / "overlays" / "kind" / "campaign.yaml", [])
    for kind in ("tick", "campaign"):
        path = compile_manifest(
            config.resources,
            config.stopping.max_rounds,
            tmp_path / f"{kind}.k8s.yaml",
            images(),
            loop=kind == "campaign",
            name=f"{config.name}-{kind}",
            namespace="kubeflow",
        )
        committed = MANIFESTS / "components" / "pipelines" / path.name
        assert but_for_the_sdk(path) == but_for_the_sdk(committed), test_the_pipelines_are_those_of_this_version.__doc__


def but_for_the_sdk(path):
    """Return a file's resources without the version of kfp that compiled them, and the digest that covers it."""
    pipeline, version = yaml.safe_load_all(path.read_text())
    name, _, digest = version["metadata"].pop("name").rpartition("-")
    assert (len(digest), version["spec"].pop("displayName")) == (12, f"{name}-{digest}")
    assert version["spec"]["pipelineSpec"].pop("sdkVersion").startswith("kfp-2.")
    return name, pipeline, version


@pytest.mark.parametrize("component", sorted(path.name for path in (MANIFESTS / "components").iterdir()))
def test_every_component_is_used_or_builds(component, tmp_path):
    """Also those that no overlay names, such as the CronWorkflow."""
    source = MANIFESTS / "components" / component
    shutil.copytree(MANIFESTS / "base", tmp_path / "base")
    shutil.copytree(source, tmp_path / component)
    extra = tmp_path / "mlflow"
    components = [component]
    if component == "monitoring":
        shutil.copytree(MANIFESTS / "components" / "mlflow", extra)
        components = ["mlflow", component]
    document = {"resources": ["base"], "components": components}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(document))
    names = [name_of(one) for one in yaml.safe_load_all(build(tmp_path))]
    assert len(names) > 6


@pytest.mark.slow
def test_checkov_finds_nothing(overlay, tmp_path):
    checkov = os.environ.get("CHECKOV") or shutil.which("checkov")
    if checkov is None:
        pytest.skip("checkov is not installed: it has a virtual environment of its own, see .ci/run")
    file = tmp_path / "overlay.yaml"
    file.write_text(build(MANIFESTS / "overlays" / overlay))
    command = [checkov, "--file", str(file), "--config-file", str(MANIFESTS / ".checkov.yaml"), "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 200
    assert [(one["check_id"], one["resource"]) for one in report["results"]["failed_checks"]] == []
