"""What is told at the end of a run."""

from __future__ import annotations

import json

import pytest

from activelora.notices import NoticeError, send
from components.tell_the_end.step import tell_at
from tests.pipelines.graphs.test_plan import ROUND_0
from tests.webhook_server import webhook

END = "all 1 planned rounds are done (4 labels)"


@pytest.fixture
def hook():
    with webhook() as handler:
        yield handler


def test_the_end_is_recorded_and_sent(new_campaign, hook, monkeypatch):
    campaign = new_campaign("ingest_pool")
    monkeypatch.setenv("ACTIVELORA_WEBHOOK_URL", hook.url)
    tell_at(campaign.store.uri, "FAILED", "out of memory")
    (key,) = campaign.store.list("run-ends/")
    record = json.loads(campaign.store.read(key))
    assert {name: record[name] for name in ("state", "error", "campaign")} == {
        "state": "FAILED",
        "error": "out of memory",
        "campaign": campaign.store.uri,
    }
    (sent,) = hook.got
    assert (
        sent["text"]
        == f"ActiveLoRA: a run of {campaign.store.uri} failed. out of memory. Next: evaluate_adapter round 0"
    )


@pytest.mark.parametrize(
    ("finished", "state", "words"),
    [
        (ROUND_0[:1], "RUNNING", "ended. Next: evaluate_adapter round 0"),
        (ROUND_0[:4], "RUNNING", "ended. Round 0 waits for labels"),
        (ROUND_0, "SUCCEEDED", "ended well. Next: train_adapter round 1"),
        ((*ROUND_0, ("train_adapter", 1), ("evaluate_adapter", 1)), "RUNNING", f"ended. The campaign has ended: {END}"),
    ],
)
def test_what_the_campaigns_ledger_says_is_told_whatever_kubeflow_says(
    new_campaign, hook, monkeypatch, finished, state, words
):
    """Kubeflow Pipelines says RUNNING of a loop that went well, and of a run that somebody has terminated."""
    campaign = new_campaign(*finished, stopping={"max_rounds": 1})
    monkeypatch.setenv("ACTIVELORA_WEBHOOK_URL", hook.url)
    tell_at(campaign.store.uri, state)
    (sent,) = hook.got
    assert sent["text"] == f"ActiveLoRA: a run of {campaign.store.uri} {words}"
    assert sent["state"] == state


def test_a_campaign_that_is_gone_is_told_all_the_same(tmp_path, hook, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_WEBHOOK_URL", hook.url)
    with pytest.raises(SystemExit):
        tell_at(str(tmp_path / "nothing"), "FAILED")
    assert hook.got[0]["state"] == "FAILED"


def test_a_busy_webhook_is_asked_again(hook):
    hook.statuses += [503, 429]
    send(hook.url, {"text": "x"}, pause_seconds=0.001)
    assert len(hook.got) == 3


@pytest.mark.parametrize(("statuses", "tries"), [([404], 1), ([500, 500, 500, 500], 3)])
def test_a_webhook_that_refuses_is_an_error_without_its_url(hook, statuses, tries):
    hook.statuses += statuses
    with pytest.raises(NoticeError, match=str(statuses[0])) as caught:
        send(hook.url, {"text": "x"}, pause_seconds=0.001)
    assert len(hook.got) == tries
    assert "secret-path" not in str(caught.value)


def test_a_webhook_that_has_moved_is_an_error_and_not_a_message_lost(hook):
    """The client would fetch the other address without the message, and take that for success."""
    hook.statuses += [302]
    hook.location = f"{hook.url}/moved"
    with pytest.raises(NoticeError, match="302") as caught:
        send(hook.url, {"text": "x"}, pause_seconds=0.001)
    assert len(hook.got) == 1
    assert "secret-path" not in str(caught.value)


def test_only_http():
    with pytest.raises(NoticeError, match="not an http"):
        send("file:///etc/passwd", {})


@pytest.mark.parametrize("place", ["[broken", "127.0.0.1:port", "a b"])
def test_what_is_no_url_is_an_error_without_it(place):
    with pytest.raises(NoticeError, match="webhook") as caught:
        send(f"http://{place}/secret-path", {}, pause_seconds=0.001)
    assert "secret-path" not in str(caught.value)
