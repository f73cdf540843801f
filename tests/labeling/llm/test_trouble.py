"""A model's endpoint in trouble, settings that are wrong, and tokens that are shown nowhere."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from activelora.errors import LabelError
from activelora.labeling.llm.ledger import Ledger
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request
from components.await_labels import step as await_labels
from tests.labeling.conftest import select, waiting_for
from tests.labeling.llm.test_source import COST, begin, collect, llm, publish

TROUBLE = {
    "429": (429, b'{"error": {"message": "slow down"}}', {"Retry-After": "0.05"}),
    "500": (500, b"<html>", {"Retry-After": "0"}),
    "bad json": (200, b"{", {}),
    "another json": (200, b'{"choices": []}', {}),
    "cut off": (200, b"{}", {"Content-Length": "1000", "Connection": "close"}),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_trouble_that_passes(case, tmp_path, chat):
    chat.behave = lambda item, number: TROUBLE[case] if number in (1, 3) else '{"label": "human"}'
    campaign, ids = begin(tmp_path, llm(chat, concurrency=1))
    publish(campaign)
    assert collect(campaign).count("labeled") == len(ids)
    assert len(chat.requests) == len(ids) + 2
    ledger = Ledger(campaign)
    ledger.refresh()
    if case in ("429", "500"):
        assert ledger.spent == pytest.approx(len(ids) * COST)  # the server says that it did not do it
    else:
        assert ledger.spent > (len(ids) + 2) * COST  # it may have charged for it: the reserve counts


def test_a_slow_server_is_left_at_the_time_limit(tmp_path, chat):
    chat.behave = lambda item, number: time.sleep(1.0) or '{"label": "human"}'
    campaign, _ = begin(tmp_path, llm(chat, concurrency=4, timeout_seconds=0.2, retries=0), batch=4)
    begun = time.monotonic()
    publish(campaign)
    assert time.monotonic() - begun < 5
    assert collect(campaign).count("waiting") == 4


def test_a_server_that_is_down_is_not_asked_for_ever(tmp_path, chat):
    chat.behave = lambda item, number: (503, b"", {"Retry-After": "0"})
    campaign, _ = begin(tmp_path, llm(chat, concurrency=1, retries=1), batch=10)
    publish(campaign)
    assert len(chat.requests) == 6
    assert "the next tick asks the rest" in waiting_for(campaign, 0)
    chat.behave = lambda item, number: '{"label": "human"}'
    publish(campaign)
    assert collect(campaign).count("labeled") == 10


@pytest.mark.parametrize(("status", "word"), [(401, "no key"), (404, "no such model"), (302, "no explanation")])
def test_settings_that_are_wrong_are_told(status, word, tmp_path, chat):
    body = b"" if status == 302 else json.dumps({"error": {"message": word}}).encode()
    chat.behave = lambda item, number: (status, body, {"Location": "http://127.0.0.1:9/"})
    campaign, _ = begin(tmp_path, llm(chat))
    with pytest.raises(LabelError, match=rf"HTTP {status}: {word}.*ACTIVELORA_LLM_TOKEN"):
        publish(campaign)


def test_an_item_that_is_refused_is_invalid_and_the_rest_goes_on(tmp_path, chat):
    campaign, ids = begin(tmp_path, llm(chat, concurrency=1))
    request = make_request(campaign, 0)
    bad = request.items[ids[2]].fields["text"]
    chat.behave = lambda item, number: (400, b"too long", {}) if item["text"] == bad else '{"label": "human"}'
    publish(campaign)
    publish(campaign)
    assert len(chat.requests) == len(ids)
    collected = collect(campaign)
    assert collected.states[ids[2]] == "invalid"
    assert collected.count("labeled") == len(ids) - 1
    assert "the endpoint refuses it: HTTP 400: too long" in collected.rejected[0].reason


def test_a_first_item_that_is_refused_does_not_hold_up_the_campaign(tmp_path, chat):
    """Not even where it is asked alone and first: the others show that the settings are right."""
    campaign, ids = begin(tmp_path, llm(chat, concurrency=1))
    bad = make_request(campaign, 0).items[ids[0]].fields["text"]
    chat.behave = lambda item, number: (400, b"too long", {}) if item["text"] == bad else '{"label": "human"}'
    publish(campaign)
    publish(campaign)
    assert collect(campaign).states[ids[0]] == "invalid"
    assert collect(campaign).count("labeled") == len(ids) - 1


def test_a_round_of_one_item_that_is_refused_is_invalid_where_earlier_rounds_were_answered(tmp_path, chat):
    campaign, ids = begin(tmp_path, llm(chat, concurrency=1), batch=1)
    assert await_labels.run(campaign, 0) is not None
    (bad,) = select(campaign, 1)
    chat.behave = lambda item, number: (400, b"too long", {})
    request = make_request(campaign, 1)
    get_source("llm").publish(request)
    assert get_source("llm").collect(request).states == {bad: "invalid"}
    assert bad not in ids


def test_a_first_request_that_is_refused_speaks_of_the_settings(tmp_path, chat):
    chat.behave = lambda item, number: (400, b'{"error": "unknown parameter max_tokens"}', {})
    campaign, _ = begin(tmp_path, llm(chat, concurrency=1))
    with pytest.raises(LabelError, match=r"unknown parameter max_tokens.*max_tokens_field"):
        publish(campaign)
    assert set(collect(campaign).states.values()) == {"waiting"}


def test_a_token_that_no_header_can_hold_is_never_shown(tmp_path, chat, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_LLM_TOKEN", "first-line\nsecond-line")
    campaign, _ = begin(tmp_path, llm(chat))
    with pytest.raises(LabelError, match="ACTIVELORA_LLM_TOKEN: holds more than one line") as caught:
        publish(campaign)
    assert "first-line" not in str(caught.value)
    assert chat.requests == []
    assert Ledger(campaign).num_requests == 0


def test_a_token_that_the_endpoint_repeats_is_never_shown(tmp_path, chat, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_LLM_TOKEN", "a-token-for-tests")
    chat.behave = lambda item, number: (401, b'{"error": "no such key: a-token-for-tests"}', {})
    campaign, _ = begin(tmp_path, llm(chat))
    with pytest.raises(LabelError, match=r"HTTP 401: no such key: \*\*\*"):
        publish(campaign)
    assert b"a-token-for-tests" not in b"".join(map(campaign.store.read, campaign.store.list("")))


def test_an_answer_that_is_listed_without_its_claim_waits_for_the_next_look(tmp_path, chat):
    """Listing is no snapshot: of two objects that come meanwhile it may show the later one alone."""
    campaign, ids = begin(tmp_path, llm(chat), batch=1)
    publish(campaign)
    (asked,) = (key for key in campaign.store.list("labeling/llm/") if key.endswith("-asked.json"))
    claim = campaign.store.read(asked)
    campaign.store.delete(asked)
    ledger = Ledger(campaign)
    ledger.refresh()
    assert (ledger.done(ids[0]), ledger.spent) == ([], 0.0)
    campaign.store.create(asked, claim)
    ledger.refresh()
    assert len(ledger.done(ids[0])) == 1
    assert ledger.spent == pytest.approx(COST)


def test_a_slow_request_of_another_process_is_not_sent_again(tmp_path, chat):
    """A server that pauses before the answer and within it takes up to twice the time limit."""
    campaign, (item_id,) = begin(tmp_path, llm(chat, timeout_seconds=100.0), batch=1)
    for seconds, found in ((250, "elsewhere"), (270, "asked")):
        begun = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
        record = {"item_id": item_id, "reserve": 0.0, "at": begun, "by": "another"}
        campaign.store.write(f"labeling/llm/round-0000/{item_id}-0000-asked.json", json.dumps(record).encode())
        ledger = Ledger(campaign)
        ledger.refresh()
        claim = ledger.claim(item_id, 0, 0.0, 1)
        assert (claim if isinstance(claim, str) else "asked") == found


def test_a_gateway_that_gave_up_waiting_may_have_cost(tmp_path, chat):
    """The model behind it may have answered, and charged."""
    chat.behave = lambda item, number: (504, b"", {"Retry-After": "0"}) if number == 1 else '{"label": "human"}'
    campaign, ids = begin(tmp_path, llm(chat, concurrency=1), batch=2)
    publish(campaign)
    ledger = Ledger(campaign)
    ledger.refresh()
    assert collect(campaign).count("labeled") == len(ids)
    assert ledger.spent > len(ids) * COST + 1e-4
