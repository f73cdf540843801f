"""The component for trainings on several nodes, which no overlay has: what it gives is what the launcher uses."""

from __future__ import annotations

import pytest
import yaml

from pipelines.doctor.training_checks import RIGHTS
from pipelines.graphs.pods import POD_LABELS
from pipelines.graphs.train_job_spec import TRAINER_LABELS
from tests.manifests.rendered import MANIFESTS

FOLDER = MANIFESTS / "components" / "trainer"


@pytest.fixture(scope="module")
def resources():
    names = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [one for name in names for one in yaml.safe_load_all((FOLDER / name).read_text())]


@pytest.mark.parametrize("version", ["1.37", "1.36", "1.35"])
def test_kubernetes_knows_every_field(resources, version):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    assert resources
    for resource in resources:
        kubernetes_validate.validate(resource, version, strict=True)


def test_the_role_gives_what_the_doctor_asks_for_and_no_more(resources):
    (role,) = [one for one in resources if one["kind"] == "Role"]
    given = {
        (verb, resource, group)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert given == set(RIGHTS)
    assert not [one for one in resources if one["kind"].startswith("Cluster")]


def test_the_policy_goes_by_the_pods_labels(resources):
    (policy,) = [one["spec"] for one in resources if one["kind"] == "NetworkPolicy"]
    (ingress,), (egress,) = policy["ingress"], policy["egress"]
    selectors = [policy["podSelector"], ingress["from"][0]["podSelector"], egress["to"][0]["podSelector"]]
    for selector in selectors:
        assert selector["matchLabels"].items() <= TRAINER_LABELS.items()
        assert not selector["matchLabels"].items() <= POD_LABELS.items()  # those of other steps stay shut
