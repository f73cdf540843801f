"""Merging what changed into what is known: no server needed."""

import base64
import json
import random

import pytest

from activelora.campaign.store import open_store
from activelora.errors import ConfigError
from activelora.labeling.label_studio.client import until_there
from activelora.labeling.label_studio.errors import LabelStudioError
from activelora.labeling.label_studio.importing import external_id, split_external_id
from activelora.labeling.label_studio.reading import (
    Annotation,
    SeenTask,
    View,
    forget_item,
    load_view,
    moment,
    save_view,
    seen_task,
)
from activelora.labeling.label_studio.source import connect
from activelora.labeling.label_studio.tokens import Credentials, expiry_of
from tests.labeling.label_studio.test_interface import TASKS, config_of


def time_of(second):
    return f"2026-01-01T00:00:{second:02d}.{second:06d}Z"


def task_at(second, *choices):
    annotations = tuple(
        Annotation(number, number, time_of(second), False, {"choices": [choice]})
        for number, choice in enumerate(choices)
    )
    return SeenTask(0, "item", time_of(second), annotations)


def test_looks_that_overlap_come_to_the_last_state():
    """Whatever is listed twice or late, the view is what a full listing at the end would be."""
    chance = random.Random(3)
    for _ in range(50):
        log = [(chance.randrange(5), task_at(second, *chance.choices("abc", k=2))) for second in range(40)]
        view, start = View(), 0
        while start < len(log):
            end = start + chance.randrange(1, 8)
            view.merge(log[max(0, start - chance.randrange(6)) : end])
            start = end
        assert view.tasks == dict(log)
        assert view.watermark == moment(log[-1][1].updated_at)


def test_an_older_state_replaces_no_newer_one():
    view = View({1: task_at(9, "b")})
    view.merge([(1, task_at(8, "a")), (2, task_at(3))])
    assert view.tasks == {1: task_at(9, "b"), 2: task_at(3)}
    view.keep([2, 3])
    assert list(view.tasks) == [2]


def test_a_view_is_kept_and_a_damaged_one_is_none(tmp_path):
    store = open_store(str(tmp_path))
    view = View({7: task_at(4, "a", "b"), 8: SeenTask(-1, None, time_of(2))}, 2, moment(time_of(9)))
    assert load_view(store, 3) == View()
    save_view(store, 3, view)
    assert load_view(store, 3) == view
    assert load_view(store, 3).watermark == moment(time_of(9))
    assert load_view(store, 4) == View()
    [key] = store.list("labeling/")
    for damaged in (
        b"",
        b"{",
        b"[]",
        b'{"format": 2}',
        b'{"format": 0}',
        b'{"format": 2, "difference": 0, "tasks": 3}',
    ):
        store.write(key, damaged)
        assert load_view(store, 3) == View()


def test_what_the_server_lists_becomes_a_task():
    listed = {
        "meta": {"activelora_id": "abc/r0002/i/1"},
        "updated_at": time_of(1),
        "annotations": [
            {"id": 5, "completed_by": {"id": 3}, "updated_at": time_of(1), "was_cancelled": True, "result": []},
            {
                "id": 4,
                "completed_by": None,
                "updated_at": time_of(0),
                "result": [{"from_name": "other", "value": {"x": 1}}, {"from_name": "label", "value": {"number": 2}}],
            },
        ],
    }
    task = seen_task("abc", listed)
    assert (task.round, task.item_id) == (2, "i/1")
    assert task.annotations == (
        Annotation(4, None, time_of(0), False, {"number": 2}),
        Annotation(5, 3, time_of(1), True, None),
    )
    assert seen_task("another", listed).item_id is None
    assert seen_task("abc", {"updated_at": time_of(1), "meta": None, "data": {"activelora_id": "abc/r0001/j"}}) == (
        SeenTask(1, "j", time_of(1))
    )


def test_external_ids():
    assert split_external_id("c", external_id("c", 12, "i-1/2")) == (12, "i-1/2")
    for other in (None, 3, "", "c/r0001", "d/r0001/i", "c/x0001/i", "c/r/i"):
        assert split_external_id("c", other) is None


def jwt(seconds):
    claims = base64.urlsafe_b64encode(json.dumps({"exp": seconds}).encode()).decode().rstrip("=")
    return f"head.{claims}.signature"


def test_tokens_tell_themselves_apart_and_are_renewed_in_time():
    assert expiry_of("0123456789abcdef") is None
    assert expiry_of("a.b.c") is None
    assert expiry_of(jwt(77)) == 77.0
    assert Credentials("plain", str).header() == "Token plain"
    now, bought = [1000.0], []

    def refresh(token):
        bought.append(token)
        return jwt(now[0] + 300)

    personal = Credentials(jwt(1e9), refresh, lambda: now[0])
    first = personal.header()
    assert first == f"Bearer {jwt(1300.0)}"
    now[0] = 1260.0
    assert personal.header() == first
    now[0] = 1275.0
    assert personal.header() != first
    assert bought == [jwt(1e9)] * 2
    assert personal.renew()
    assert not personal.renew()
    assert not Credentials("plain", str).renew()


def test_what_is_created_is_never_created_again():
    """A creation that succeeded is not repeated, even if nothing can be seen of it; one that failed is looked for."""
    created = []
    with pytest.raises(LabelStudioError, match="does not appear"):
        until_there(lambda: False, lambda: created.append(1), pause_seconds=0)
    assert created == [1]

    def arrives_in_spite_of_its_error():
        created.append(2)
        raise LabelStudioError("no answer", passes=True)

    until_there(lambda: 2 in created, arrives_in_spite_of_its_error, pause_seconds=0)
    assert created == [1, 2]

    def refused():
        created.append(3)
        raise LabelStudioError("no", status=403)

    with pytest.raises(LabelStudioError, match="no"):
        until_there(lambda: False, refused, pause_seconds=0)
    assert created == [1, 2, 3]


def test_what_is_missing_is_said_at_once(monkeypatch):
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"LABEL_STUDIO_API_KEY: there is no token"):
        connect(config_of(TASKS["yes_no"], url="https://x.org").labeling)


@pytest.mark.parametrize("token", ["first-line\nsecond-line", "first-line second", "first-line\u2026"])
def test_a_token_that_no_header_can_hold_is_never_shown(token, monkeypatch):
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", token)
    with pytest.raises(ConfigError, match=r"LABEL_STUDIO_API_KEY: holds spaces or lines") as caught:
        connect(config_of(TASKS["yes_no"], url="https://x.org").labeling)
    assert "first-line" not in str(caught.value)


def test_what_is_known_of_a_deleted_item_is_forgotten(tmp_path):
    store = open_store(str(tmp_path))
    forget_item(store, 3, "one")  # nothing is known yet
    one, other = SeenTask(0, "one", time_of(1)), SeenTask(0, "other", time_of(2))
    save_view(store, 3, View({1: one, 2: other, 3: one}, 1, moment(time_of(9))))
    forget_item(store, 3, "one")
    assert load_view(store, 3) == View({2: other}, 1, moment(time_of(9)))
