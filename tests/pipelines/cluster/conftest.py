from __future__ import annotations

import pytest

from pipelines.cluster.api import Api
from pipelines.cluster.connection import Connection
from pipelines.cluster.transport import Transport
from pipelines.deploy.packages import Package
from tests.pipelines.cluster.kfp_server import running_kfp_server

TEXT = "deploymentSpec: {}\nroot: {}\n"


@pytest.fixture(autouse=True)
def no_cluster(request, tmp_path_factory, monkeypatch):
    """No command of a test asks the cluster of whoever runs it."""
    if request.node.get_closest_marker("cluster") is None:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path_factory.getbasetemp() / "no-kubeconfig"))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture
def kfp(monkeypatch):
    for name in ("ACTIVELORA_KFP_TOKEN", "KF_PIPELINES_SA_TOKEN_PATH", "KF_PIPELINES_ENDPOINT", "ACTIVELORA_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    with running_kfp_server() as server:
        yield server


@pytest.fixture
def make_api(kfp):
    def make(**options):
        connection = Connection(kfp.url)
        transport = Transport(connection, **{"pause_seconds": 0.001, **options})
        return Api(connection, transport)

    return make


@pytest.fixture
def api(make_api):
    return make_api()


@pytest.fixture
def package():
    return Package("tiny-tick", "tiny-tick-aaa", "words", TEXT)
