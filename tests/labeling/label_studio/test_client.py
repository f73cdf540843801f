"""What the client repeats, sends and says, against sockets that answer by rule; no Label Studio is needed."""

import base64
import json
import time

import pytest

from activelora.labeling.label_studio.client import TRIES, Client
from activelora.labeling.label_studio.errors import LabelStudioError
from tests.http_server import serving

LEGACY = "0123456789abcdef0123456789abcdef01234567"


def jwt(seconds):
    """A token that says until when it is good; nobody looks at its signature here."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + seconds}).encode()).decode().rstrip("=")
    return f"x.{claims}.x"


@pytest.fixture
def server():
    with serving() as one:
        yield one


def client(server, token=LEGACY, timeout_seconds=2.0):
    return Client(f"{server.url}/", token, timeout_seconds, pause_seconds=0.001)


def in_turn(*answers):
    return lambda handler, number: handler.answer(*[*answers, *[(200, b"{}")] * 9][number - 1])


def test_reads_changes_and_removals_are_repeated_after_trouble_that_passes(server):
    for call in (
        lambda: client(server).get("/x"),
        lambda: client(server).patch("/x", {}),
        lambda: client(server).delete("/x"),
    ):
        server.seen.clear()
        server.behave = in_turn((500, b""), (429, b""), (503, b""))
        call()
        assert len(server.seen) == TRIES
        assert {authorization for *_, authorization in server.seen} == {f"Token {LEGACY}"}


def test_what_creates_something_is_repeated_only_where_it_was_refused_unread(server):
    server.behave = in_turn((429, b""), (429, b""))
    assert client(server).post("/x", {"a": 1}, page=2) == {}
    assert [path for _, path, _ in server.seen] == ["/x?page=2"] * 3
    server.seen.clear()
    server.behave = in_turn((500, b""))
    with pytest.raises(LabelStudioError, match="status 500") as caught:
        client(server).post("/x", {})
    assert (len(server.seen), caught.value.status, caught.value.passes) == (1, 500, True)


def test_what_is_gone_need_not_be_removed(server):
    server.behave = in_turn((404, b""))
    client(server).delete("/x")
    server.behave = in_turn((404, b""), (404, b""), (404, b""))
    with pytest.raises(LabelStudioError, match="status 404"):
        client(server).get("/x")


def test_an_access_token_is_bought_and_bought_anew_once_where_it_is_refused(server):
    refresh, access = jwt(10_000), [jwt(300), jwt(301)]
    bought = []

    def behave(handler, number):
        if handler.path == "/api/token/refresh":
            bought.append(access[len(bought)])
            handler.answer(200, json.dumps({"access": bought[-1]}).encode())
        else:
            is_known = handler.headers["Authorization"] == f"Bearer {access[1]}"
            handler.answer(200 if is_known else 401, b"{}")

    server.behave = behave
    assert client(server, refresh).get("/x") == {}
    assert [path for _, path, _ in server.seen] == ["/api/token/refresh", "/x"] * 2
    assert server.seen[0][2] is None


def test_the_server_s_clock_is_told_at_every_answer(server):
    server.behave = lambda handler, number: handler.answer(404, b"{}")
    one = client(server)
    with pytest.raises(LabelStudioError):
        one.get("/x")
    assert abs(one.server_time.timestamp() - time.time()) < 60


def test_a_server_that_says_nothing_is_too_slow(server):
    server.behave = lambda handler, number: time.sleep(0.3)
    with pytest.raises(LabelStudioError, match=r"does not answer in time .*4 tries.*timeout_seconds") as caught:
        client(server, timeout_seconds=0.05).get("/x")
    assert caught.value.passes


def test_what_the_server_says_is_shown_without_the_token(server, monkeypatch):
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", LEGACY)
    server.behave = in_turn((400, json.dumps({"detail": f"no such thing: {LEGACY}"}).encode()))
    with pytest.raises(LabelStudioError, match=r"status 400: no such thing: \*\*\*"):
        client(server).get("/x")


@pytest.mark.parametrize(
    ("answer", "words"),
    [((200, b"<html>"), "not JSON, perhaps a login page"), ((302, b""), "sends on to another address")],
)
def test_a_page_or_another_address_is_no_answer(server, answer, words):
    server.behave = in_turn(answer)
    with pytest.raises(LabelStudioError, match=words):
        client(server).get("/x")
