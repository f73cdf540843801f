"""What the doctor says of room: on nodes, in quotas and in limit ranges; by a fake of Kubernetes' API."""

from __future__ import annotations

from decimal import Decimal

import pytest

from activelora.config import ResourcesConfig
from pipelines.cluster.kube import Kube
from pipelines.doctor.nodes import check_nodes
from pipelines.doctor.objects import items_at
from pipelines.doctor.quotas import check_quotas
from pipelines.doctor.requests import requested, requested_by_node
from tests.pipelines.cluster.fake_kubernetes import RUNS, node, running_fake_kubernetes

SMALL = {"cpu": "1", "memory": "2Gi"}
RESOURCES = ResourcesConfig.model_validate(
    {
        "cpu": SMALL,
        "train": {"cpu": "4", "memory": "8Gi", "accelerator_type": "nvidia.com/gpu", "accelerator_count": 2},
        "score": SMALL,
        "parallel_shards": 2,
    }
)
GIB = 2**30


@pytest.fixture
def fake(tmp_path, monkeypatch):
    with running_fake_kubernetes() as fake:
        monkeypatch.setenv("KUBECONFIG", str(fake.write_kubeconfig(tmp_path)))
        yield fake


def container(**requests):
    return {"resources": {"requests": requests}}


def pod(*containers, name=None, phase="Running", **more):
    return {"spec": {"containers": list(containers), "nodeName": name, **more}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("spec", "cpu", "memory"),
    [
        ({"containers": [container(cpu="500m", memory="1Gi"), container(cpu="1"), {}]}, "1.5", GIB),
        # Initial containers run one after the other, before the others.
        ({"containers": [container(cpu="1")], "initContainers": [container(cpu="2"), container(cpu="3")]}, "3", 0),
        ({"containers": [container(cpu="4")], "initContainers": [container(cpu="2"), container(cpu="3")]}, "4", 0),
        # A sidecar runs beside what comes after it.
        (
            {
                "containers": [container(cpu="1")],
                "initContainers": [container(cpu="3"), {**container(cpu="1"), "restartPolicy": "Always"}],
            },
            "3",
            0,
        ),
        (
            {
                "containers": [container(cpu="1")],
                "initContainers": [{**container(cpu="1"), "restartPolicy": "Always"}, container(cpu="3")],
            },
            "4",
            0,
        ),
        ({"containers": [container(cpu="1")], "overhead": {"cpu": "250m", "memory": "64Mi"}}, "1.25", 64 * 2**20),
        ({"containers": [container(cpu="1")], "resources": {"requests": {"cpu": "2"}}}, "2", 0),
    ],
)
def test_what_a_pod_asks_of_a_node(spec, cpu, memory):
    found = requested(spec)
    assert (found["cpu"], found.get("memory", 0), found["pods"]) == (Decimal(cpu), memory, 1)


def test_pods_that_ended_or_have_no_node_take_none():
    one = container(cpu="1", **{"nvidia.com/gpu": "1"})
    pods = [
        pod(one, name="a"),
        pod(one, one, name="a", phase="Pending"),
        pod(one, name="a", phase="Succeeded"),
        pod(one, name="a", phase="Failed"),
        pod(one),
        pod(one, name="b"),
    ]
    found = requested_by_node(pods)
    assert found == {
        "a": {"cpu": 3, "nvidia.com/gpu": 3, "pods": 2},
        "b": {"cpu": 1, "nvidia.com/gpu": 1, "pods": 1},
    }


def rooms(nodes, pods):
    findings = {one.check: one for one in check_nodes(nodes, RESOURCES, requested_by_node(pods))}
    return {check.removeprefix("room for resources."): one for check, one in findings.items() if "room" in check}


def test_fits_when_empty_and_not_now():
    nodes = [node("cpu", cpu="4"), node("gpu", cpu="8", memory="16Gi", gpus=2)]
    busy = pod(container(cpu="5", memory="9Gi", **{"nvidia.com/gpu": "1"}), name="gpu")
    assert rooms(nodes, []) == {}
    (finding,) = rooms(nodes, [busy]).values()
    assert finding.state == "warning"
    assert finding.words == (
        "a pod fits when a node is empty, not now: gpu has 3 of 4 cpu, 7 of 8 GiB memory, 1 of 2 nvidia.com/gpu"
    ).replace("7 of 8 GiB", "7 GiB of 8 GiB")
    assert "until others end" in finding.remedy
    other = node("gpu2", cpu="8", memory="16Gi", gpus=2)
    assert rooms([*nodes, other], [busy]) == {}  # one of them is enough


def test_a_node_that_is_full_of_pods_has_no_room():
    full = node("cpu")
    full["status"]["allocatable"]["pods"] = "2"
    assert set(rooms([full], [pod({}, name="cpu")])) == set()
    found = rooms([full], [pod({}, name="cpu"), pod({}, name="cpu")])
    assert found["cpu"].words.endswith("cpu has 0 of 1 pods")
    assert "train" not in found  # no node fits it when empty: that is said elsewhere


def quotas(fake, **found):
    fake.objects |= {f"{RUNS}/{kind}": {"items": items} for kind, items in found.items()}
    return [(one.check, one.state, one.words) for one in check_quotas(Kube(), "kubeflow", RESOURCES)]


def quota(hard, used=None, **spec):
    status = {"hard": hard, "used": used or {}}
    return {"metadata": {"name": "team"}, "spec": {"hard": hard, **spec}, "status": status}


def test_no_quota_or_a_wide_one_leaves_room(fake):
    assert quotas(fake) == [("quotas", "ok", "0 quota(s) and 0 limit range(s) leave room")]
    wide = quota(
        {"requests.cpu": "100", "requests.memory": "1Ti", "pods": "50", "services": "1"}, {"requests.cpu": "3"}
    )
    assert quotas(fake, resourcequotas=[wide]) == [("quotas", "ok", "1 quota(s) and 0 limit range(s) leave room")]


def test_a_quota_that_no_pod_can_ever_fit_fails(fake):
    (found,) = quotas(fake, resourcequotas=[quota({"requests.nvidia.com/gpu": "1"})])
    words = "requests.nvidia.com/gpu is 1, of which 1 are left: resources.train asks for 2 a pod, which is more than"
    assert found[:2] == ("quota team", "failed")
    assert found[2].startswith(words)


def test_a_quota_that_is_used_up_is_told(fake):
    (found,) = quotas(fake, resourcequotas=[quota({"limits.memory": "20Gi"}, {"limits.memory": "13Gi"})])
    assert found == (
        "quota team",
        "warning",
        "limits.memory is 20 GiB, of which 7 GiB are left: resources.train asks for 8 GiB a pod, for which there is no "
        "room now",
    )


def test_pods_that_run_at_once_are_counted_together(fake):
    (found,) = quotas(fake, resourcequotas=[quota({"count/pods": "10"}, {"count/pods": "9"})])
    assert found[2].endswith("resources.score asks for 1 a pod, and up to 2 pods run at once")


def test_a_quota_of_some_pods_only_is_not_weighed(fake):
    (found,) = quotas(fake, resourcequotas=[quota({"cpu": "1"}, scopes=["BestEffort"])])
    assert found[1] == "warning"
    assert "not weighed" in found[2]


def limits(**limit):
    return {"metadata": {"name": "containers"}, "spec": {"limits": [{"type": "Container", **limit}]}}


def test_limit_ranges(fake):
    assert quotas(fake, limitranges=[limits(max={"cpu": "4", "memory": "8Gi"}, default={"cpu": "1"})])[0][1] == "ok"
    (found,) = quotas(fake, limitranges=[limits(max={"memory": "4Gi"})])
    assert found[1:] == ("failed", "resources.train asks for 8 GiB memory, and a container may have 4 GiB")
    (found,) = quotas(fake, limitranges=[limits(min={"cpu": "2"}, type="Pod")])
    assert found[1] == "ok"
    found = quotas(fake, limitranges=[limits(min={"cpu": "2"})])
    assert [one[2] for one in found] == [
        f"resources.{name} asks for 1 cpu, and a container must have 2" for name in ("cpu", "score")
    ]
    claims = limits(max={"storage": "1Gi"}, type="PersistentVolumeClaim")
    assert quotas(fake, limitranges=[claims])[0][1] == "ok"


def test_long_lists_are_read_to_their_end(fake):
    pages = {"": ({"continue": "next"}, ["a", "b"]), "next": ({}, ["c"])}

    def answer(method, path, body):
        token = fake.requests[-1].partition("continue=")[2]
        metadata, names = pages[token]
        return 200, {"metadata": metadata, "items": [{"metadata": {"name": name}} for name in names]}

    fake.extension = answer
    assert [one["metadata"]["name"] for one in items_at(Kube(), "/api/v1/pods")] == ["a", "b", "c"]
    assert all("limit=500" in one for one in fake.requests)
