"""A server that restarts, is slow, fails, loses the project or refuses the token: what is said, and nothing is lost."""

import threading

import pytest

from activelora.errors import ConfigError
from activelora.labeling.label_studio.client import Client
from activelora.labeling.label_studio.errors import LabelStudioError
from activelora.labeling.label_studio.project import PROJECT_KEY, known_project, marked_projects
from activelora.labeling.label_studio.source import check_server
from activelora.labeling.request import make_request
from components.await_labels import step as await_labels
from tests.labeling.conftest import select
from tests.labeling.label_studio.proxy import Answer, slow
from tests.labeling.label_studio.server import LEGACY_TOKEN

pytestmark = [pytest.mark.slow, pytest.mark.label_studio]


@pytest.fixture
def asked(make, source):
    """A campaign with three items in Label Studio."""
    campaign = make(num_items=14, batch=3)
    ids = select(campaign)
    request = make_request(campaign, 0)
    source.publish(request)
    return campaign, ids, request


def label_all(campaign, person):
    while (task := person.next_task(known_project(campaign))) is not None:
        person.label(task, "human")


def test_a_server_that_restarts(asked, source, server, people):
    campaign, ids, request = asked
    label_all(campaign, people[0])
    server.stop()
    restart = threading.Timer(1.0, server.start)
    restart.start()
    try:
        with pytest.raises(LabelStudioError, match=r"does not answer|status 5") as caught:
            Client(server.url, LEGACY_TOKEN, 5.0, pause_seconds=0.01).get("/api/version")
        assert caught.value.passes
        assert "Nothing is lost" in str(caught.value)
    finally:
        restart.join()
    assert source.collect(request).num_labeled == len(ids)


def test_a_slow_server_costs_time_only(make, proxy, source):
    campaign = make(num_items=14, batch=3, section={"timeout_seconds": 15})
    ids = select(campaign)
    request = make_request(campaign, 0)

    def ten_seconds_for_the_import(call):
        return slow(10.0)(call) if "/import" in call.path else None

    proxy.before = ten_seconds_for_the_import
    source.publish(request)
    assert source.collect(request).states == dict.fromkeys(ids, "waiting")


def test_a_server_that_is_too_slow(make, proxy, source, tasks_of):
    """The import comes through after its client has given up: what it brings late is there once in the end."""
    campaign = make(num_items=14, batch=3, section={"timeout_seconds": 1.0})
    ids = select(campaign)
    request = make_request(campaign, 0)
    imports = []

    def late(call):
        if "/import" in call.path:
            imports.append(call)
            return slow(3.0)(call) if len(imports) == 1 else None
        return None

    proxy.before = late
    source.publish(request)
    arrived = threading.Event()
    proxy.after = lambda call: arrived.set() if call is imports[0] else None
    arrived.wait(10.0)
    source.publish(request)
    assert {item: len(same) for item, same in tasks_of(campaign).items()} == dict.fromkeys(ids, 1)


def test_errors_of_the_server_pass(make, proxy, source, tasks_of):
    """Every call fails once with 500, 429 or 409 before it succeeds."""
    campaign = make(num_items=14, batch=3)
    ids = select(campaign)
    request = make_request(campaign, 0)
    answers = [Answer(500), Answer(429, {"Retry-After": "1"}), Answer(503), Answer(409)]
    failed = set()

    def once(call):
        key = call.method, call.path.partition("?")[0]
        if key in failed or (call.method == "GET" and len(failed) % 4 == 3):
            return None
        failed.add(key)
        return answers[(len(failed) - 1) % 4]

    proxy.before = once
    source.publish(request)
    assert len(failed) >= 4
    assert {item: len(same) for item, same in tasks_of(campaign).items()} == dict.fromkeys(ids, 1)


def test_a_server_that_goes_on_failing(asked, proxy, people):
    """The tick ends with the reason, and the next one goes on."""
    campaign, ids, _ = asked
    label_all(campaign, people[0])
    proxy.before = lambda call: Answer(500)
    with pytest.raises(LabelStudioError, match=r"status 500.*The server has trouble.*Nothing is lost"):
        await_labels.run(campaign, 0)
    proxy.reset()
    assert await_labels.run(campaign, 0).metrics["num_labeled"] == len(ids)


def test_a_lost_project(asked, source, admin, tasks_of):
    campaign, ids, request = asked
    admin.delete(f"/api/projects/{known_project(campaign)}/")
    for action in (source.publish, source.collect):
        with pytest.raises(LabelStudioError, match=rf"there is no project.*delete .*{PROJECT_KEY}"):
            action(request)
    campaign.store.delete(PROJECT_KEY)
    source.publish(request)
    assert sorted(tasks_of(campaign)) == sorted(ids)
    assert source.collect(request).states == dict.fromkeys(ids, "waiting")


def test_personal_tokens_are_refreshed_and_rotated(asked, source, admin, proxy, monkeypatch, people):
    campaign, ids, request = asked
    label_all(campaign, people[0])
    refresh = admin.post("/api/token/", {})["token"]
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", refresh)
    assert source.collect(request).num_labeled == len(ids)
    assert proxy.calls[0].path == "/api/token/refresh" or any("/api/token/refresh" in c.path for c in proxy.calls)
    refused = []

    def once(call):
        if "/api/tasks" in call.path and not refused:
            refused.append(call)
            return Answer(401)
        return None

    proxy.before = once
    assert source.collect(request).num_labeled == len(ids)
    proxy.reset()
    admin.post("/api/token/blacklist", {"refresh": refresh})
    with pytest.raises(LabelStudioError, match=r"status 401.*Set LABEL_STUDIO_API_KEY.*Nothing is lost") as caught:
        source.collect(request)
    assert refresh not in str(caught.value)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", LEGACY_TOKEN)
    assert source.collect(request).num_labeled == len(ids)


def test_check(make, proxy, monkeypatch):
    config = make().config.labeling
    assert check_server(config).startswith("1.23")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)
    with pytest.raises(LabelStudioError, match=r"status 401.*Set LABEL_STUDIO_API_KEY"):
        check_server(config)
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    with pytest.raises(ConfigError, match="there is no token for Label Studio"):
        check_server(config)


def test_two_ticks_at_once_make_one_project(make, proxy, source, admin, tasks_of):
    campaign = make(num_items=14, batch=3)
    ids = select(campaign)
    request = make_request(campaign, 0)
    meeting = threading.Barrier(2, timeout=30)
    met = set()

    def meet(call):
        """Both have looked for the project before either creates one, and for the tasks before either imports."""
        kind = call.path if call.method == "POST" else None
        if kind is not None and threading.get_ident() not in met:
            met.add(threading.get_ident())
            meeting.wait()

    proxy.before = meet
    threads = [threading.Thread(target=source.publish, args=(request,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one["id"] for one in marked_projects(admin, campaign)] == [known_project(campaign)]
    source.publish(request)
    assert {item: len(same) for item, same in tasks_of(campaign).items()} == dict.fromkeys(ids, 1)
