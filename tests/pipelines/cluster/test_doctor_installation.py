"""What the doctor says of Argo, Kubeflow Pipelines and the clock; by a fake of Kubernetes' API."""

from __future__ import annotations

import pytest

from pipelines.cluster.kube import Kube
from pipelines.doctor.installation import check_clock, check_installation, duration_seconds
from tests.pipelines.cluster.fake_kubernetes import deployment, running_fake_kubernetes

KFP_IMAGE = "ghcr.io/kubeflow/kfp-api-server:2.17.0"
ARGO_IMAGE = "quay.io/argoproj/workflow-controller:v4.0.5"
CHECKS = ("version of Kubeflow Pipelines", "version of Argo Workflows", "Argo's requeue time")


@pytest.fixture
def fake(tmp_path, monkeypatch):
    with running_fake_kubernetes() as fake:
        monkeypatch.setenv("KUBECONFIG", str(fake.write_kubeconfig(tmp_path)))
        yield fake


@pytest.fixture
def found(fake):
    def found(namespace="kubeflow", kfp=KFP_IMAGE, argo=ARGO_IMAGE, place="kubeflow", **environment):
        path = f"/apis/apps/v1/namespaces/{place}/deployments"
        fake.objects[f"{path}/ml-pipeline"] = deployment(kfp)
        fake.objects[f"{path}/workflow-controller"] = deployment(argo, **environment)
        return {one.check: one for one in check_installation(Kube(), namespace)}

    return found


def test_versions_are_held_against_those_tried(found):
    findings = found(DEFAULT_REQUEUE_TIME="2s")
    assert [(findings[check].state, findings[check].words) for check in CHECKS[:2]] == [
        ("ok", "2.17.0, as tried"),
        ("ok", "4.0.5, as tried"),
    ]
    findings = found(kfp="ghcr.io/kubeflow/kfp-api-server:2.14.3", argo="r.io:5000/argo:v3.7.1@sha256:" + "c" * 64)
    assert findings[CHECKS[0]].state == "warning"
    assert findings[CHECKS[0]].words == "2.14.3: campaigns ran with 2.17 and no other"
    assert "does not tell it" in findings[CHECKS[1]].words
    assert found(argo="quay.io/argoproj/workflow-controller:v4.10.0")[CHECKS[1]].state == "warning"


def test_the_default_requeue_time_is_told_with_what_less_would_save(found):
    finding = found()[CHECKS[2]]
    assert finding.state == "warning"
    assert finding.words.startswith("10 s, the default: from one pod to the next")
    assert "70 s instead of 101 s" in finding.words
    assert "kubectl -n kubeflow set env deploy/workflow-controller DEFAULT_REQUEUE_TIME=2s" in finding.remedy


@pytest.mark.parametrize(
    ("given", "state", "words"),
    [
        ("2s", "ok", "2 s:"),
        ("500ms", "ok", "0.5 s:"),
        ("5s", "warning", "5 s:"),
        ("1m", "warning", "60 s:"),
        ("2", "warning", "'2' is no duration"),
        (None, "warning", "comes from elsewhere"),
    ],
)
def test_a_requeue_time_that_is_set(found, given, state, words):
    finding = found(DEFAULT_REQUEUE_TIME=given)[CHECKS[2]]
    assert finding.state == state
    assert words in finding.words


def test_it_changes_nothing(found, fake):
    found()
    assert {one.partition(" ")[0] for one in fake.requests} == {"GET"}


def test_argo_may_have_a_namespace_of_its_own(found):
    findings = found(namespace="team-a", place="argo")
    assert findings[CHECKS[1]].state == "ok"
    assert "kubectl -n argo" in findings[CHECKS[2]].remedy


def test_what_is_not_there_is_a_warning(fake):
    findings = list(check_installation(Kube(), "team-a"))
    assert [one.state for one in findings] == ["warning", "warning"]
    assert findings[1].words == "there is no deployment workflow-controller in team-a, kubeflow, argo"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1m30s", 90), ("1.5s", 1.5), ("0", 0), ("2h", 7200), ("10", None), ("", None), ("s", None)],
)
def test_durations_of_go(text, seconds):
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize(
    ("ahead", "state", "words"),
    [
        (0, "ok", "agree"),
        (120, "warning", "120 s behind the API server's"),
        (-120, "warning", "120 s ahead of the API server's"),
        (-2000, "failed", "ahead of"),
    ],
)
def test_the_clock_is_held_against_the_server_s(fake, ahead, state, words):
    fake.objects["/version"] = {}
    fake.seconds_ahead = ahead
    (finding,) = check_clock(Kube())
    assert finding.state == state
    rounded = finding.words.replace("119 s", "120 s").replace("121 s", "120 s")
    assert words in rounded


def test_a_server_that_tells_no_time(fake):
    (finding,) = check_clock(Kube())  # 404
    assert finding.state == "warning"
