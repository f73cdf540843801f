"""Every overlay on a real cluster, in a dry run; and what that needs, with a stand-in for kubectl."""

from __future__ import annotations

import json
import os

import pytest

from tests.manifests.real_cluster import kubectl, missing_types, ready_for
from tests.manifests.rendered import MANIFESTS, OVERLAYS, build, resources

ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r", "namespace": "runs"}}
QUEUE = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue", "metadata": {"name": "q", "namespace": "runs"}}
FOUND = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "services"}}, ROLE]
# Namespaces and types are files; `create` and `delete` of namespaces change them.
STAND_IN = """
case "$1 $2" in
"get --raw") cat "$HELD/types$3" ;;
"get namespace") [ -e "$HELD/namespaces/$3" ] ;;
"create namespace") [ ! -e "$HELD/forbidden" ] && touch "$HELD/namespaces/$3" || { echo forbidden >&2; exit 1; } ;;
"delete namespace") rm "$HELD/namespaces/$3" ;;
*) exit 2 ;;
esac
"""


@pytest.mark.cluster
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_real_cluster_would_accept_it(overlay):
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG points at no cluster")
    with ready_for(resources(overlay)):
        text = build(MANIFESTS / "overlays" / overlay)
        done = kubectl("apply", "--server-side", "--dry-run=server", "--filename=-", text=text)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def held(tmp_path, programs, monkeypatch):
    """What the stand-in's cluster holds: nothing but Kubernetes' own namespace."""
    for overlay in OVERLAYS:
        resources(overlay)  # by the real kubectl, where there is no kustomize
    folder = tmp_path / "held"
    (folder / "namespaces").mkdir(parents=True)
    (folder / "namespaces" / "default").touch()
    monkeypatch.setenv("HELD", str(folder))
    programs("kubectl", STAND_IN)
    return folder


def names(held):
    return sorted(path.name for path in (held / "namespaces").iterdir())


def test_missing_namespaces_are_made_for_the_time_of_the_test(held):
    with ready_for(FOUND):
        assert names(held) == ["default", "runs"]
    assert names(held) == ["default"]


def test_a_test_that_fails_leaves_none(held):
    def fail():
        with ready_for(FOUND):
            raise ValueError(str(names(held)))

    with pytest.raises(ValueError, match="runs"):
        fail()
    assert names(held) == ["default"]


def test_a_namespace_that_is_there_stays(held):
    (held / "namespaces" / "runs").touch()
    with ready_for(FOUND):
        pass
    assert names(held) == ["default", "runs"]


def test_who_may_make_none_skips_and_says_why(held):
    (held / "forbidden").touch()
    with (
        pytest.raises(pytest.skip.Exception, match="no namespace runs, and it cannot be made: forbidden"),
        ready_for(FOUND),
    ):
        pass


def test_types_that_are_not_installed_skip_and_are_named(held):
    with pytest.raises(pytest.skip.Exception, match="v1beta2 LocalQueue"), ready_for([*FOUND, QUEUE]):
        pass
    assert names(held) == ["default"]
    path = held / "types" / "apis" / "kueue.x-k8s.io" / "v1beta2"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"resources": [{"kind": "ClusterQueue"}]}))
    assert missing_types([QUEUE]) == ["kueue.x-k8s.io/v1beta2 LocalQueue"]
    path.write_text(json.dumps({"resources": [{"kind": "ClusterQueue"}, {"kind": "LocalQueue"}]}))
    assert missing_types([QUEUE]) == []


def test_kind_needs_no_type_that_an_empty_cluster_lacks(held):
    assert missing_types(resources("kind")) == []
    assert missing_types(resources("production")) != []
