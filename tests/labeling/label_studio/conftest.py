"""One real server for all of these tests, with a proxy in front and annotators who have accounts."""

import shutil

import pytest

from activelora.labeling.label_studio.client import Client
from activelora.labeling.label_studio.project import known_project
from activelora.labeling.label_studio.source import LabelStudioSource
from tests.labeling.conftest import make_campaign
from tests.labeling.label_studio.people import sign_up
from tests.labeling.label_studio.proxy import running_proxy
from tests.labeling.label_studio.server import LEGACY_TOKEN, CannotInstallError, Server, prepare


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    try:
        folder = prepare()
    except CannotInstallError as error:
        pytest.skip(str(error))
    data = tmp_path_factory.mktemp("label-studio") / "data"
    shutil.copytree(folder / "fresh", data)
    with Server(folder, data).running() as one:
        yield one


@pytest.fixture(scope="session")
def session_proxy(server):
    with running_proxy(server.url) as proxy:
        yield proxy


@pytest.fixture
def proxy(session_proxy, monkeypatch):
    session_proxy.reset()
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", LEGACY_TOKEN)
    return session_proxy


@pytest.fixture(scope="session")
def people(server):
    """Three annotators, Ann, Bob and Cat."""
    return [sign_up(server.url, f"{name}@example.com") for name in ("ann", "bob", "cat")]


@pytest.fixture
def make(proxy, tmp_path):
    """Make a campaign that asks in Label Studio, through the proxy."""

    def made(folder="campaign", labeling=None, section=None, **sections):
        inner = {"url": proxy.url, "timeout_seconds": 20, **(section or {})}
        labeling = {"source": "label_studio", "label_studio": inner, **(labeling or {})}
        return make_campaign(tmp_path / folder, labeling=labeling, **sections)

    return made


@pytest.fixture
def source():
    return LabelStudioSource()


@pytest.fixture
def admin(server):
    """The server as the tests themselves see it, past the proxy."""
    return Client(server.url, LEGACY_TOKEN, 60.0)


@pytest.fixture
def tasks_of(admin):
    """All tasks of a campaign's project, by item id."""

    def found(campaign):
        tasks = admin.tasks(known_project(campaign), [], fields="all").values()
        by_item = {}
        for task in tasks:
            by_item.setdefault(task["data"]["activelora_id"].rpartition("/")[2], []).append(task)
        return by_item

    return found
