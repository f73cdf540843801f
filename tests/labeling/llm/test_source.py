"""A model as annotator, against a fake endpoint on a real socket."""

import json
import threading
import time
from contextlib import suppress

import pytest

from activelora.errors import ProblemsError
from activelora.labeling.llm.endpoint import Reply
from activelora.labeling.llm.ledger import Ledger
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request
from activelora.labeling.terminal_requests import asked_now
from activelora.rules.file import checked_config
from components.await_labels import step as await_labels
from tests.labeling.conftest import csv_of, make_campaign, put, select, waiting_for

COST = (100 * 2.0 + 10 * 8.0) / 1e6
"""Of an answer of the fake server."""


def llm(chat, people=None, **settings):
    section = {"url": chat.url, "model": "fake-1", "price_in": 2.0, "price_out": 8.0, "max_cost": 1.0, "retries": 2}
    people = {"people": people} if people else {}
    return {"source": "llm", "llm": {**section, "timeout_seconds": 5.0, **people, **settings}}


def begin(tmp_path, labeling, **more):
    campaign = make_campaign(tmp_path, labeling=labeling, **more)
    return campaign, select(campaign)


def publish(campaign):
    get_source("llm").publish(make_request(campaign, 0))


def collect(campaign):
    return get_source("llm").collect(make_request(campaign, 0))


def test_the_model_labels_a_round_and_is_named(tmp_path, chat, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_LLM_TOKEN", "a-token-for-tests")
    campaign, ids = begin(tmp_path, llm(chat))
    manifest = await_labels.run(campaign, 0)
    assert manifest is not None
    assert len(chat.requests) == len(ids)
    rows = campaign.read_table(manifest, "labels.parquet").to_pylist()
    assert {(row["annotator"], row["source"], row["label"]) for row in rows} == {("llm:fake-1", "llm", 1)}
    assert all(campaign.store.exists(row["origin"]) for row in rows)
    assert {one["Authorization"] for one in chat.headers_seen} == {"Bearer a-token-for-tests"}
    assert len({one["Idempotency-Key"] for one in chat.headers_seen}) == len(ids)
    stored = b"".join(campaign.store.read(key) for key in campaign.store.list(""))
    assert b"a-token-for-tests" not in stored
    assert chat.requests[0]["max_tokens"] == 64


def test_nothing_is_paid_twice(tmp_path, chat):
    campaign, ids = begin(tmp_path, llm(chat))
    for _ in range(3):
        publish(campaign)
    assert len(chat.requests) == len(ids)
    ledger = Ledger(campaign)
    ledger.refresh()
    assert ledger.spent == pytest.approx(len(ids) * COST)


def test_two_processes_at_once_pay_once(tmp_path, chat):
    chat.behave = lambda item, number: time.sleep(0.05) or '{"label": "human"}'
    campaign, ids = begin(tmp_path, llm(chat, concurrency=2))
    from activelora.labeling.llm.source import LLMSource  # each with a memory of its own, as processes have

    sources = [LLMSource(get_source) for _ in range(3)]
    threads = [threading.Thread(target=one.publish, args=(make_request(campaign, 0),)) for one in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    publish(campaign)
    assert len(chat.requests) == len(ids)
    assert collect(campaign).count("labeled") == len(ids)


def test_an_answer_that_another_process_gets_meanwhile_is_not_paid_again(tmp_path, chat):
    """One process sees the other's claim, finds no answer, and claims: between the two the answer comes."""
    campaign, ids = begin(tmp_path, llm(chat))
    mine, other = Ledger(campaign), Ledger(campaign)
    claim = other.claim(ids[0], 0, 0.001, other.num_records(ids[0]))
    mine.refresh()
    seen = mine.num_records(ids[0])
    assert (seen, mine.done(ids[0])) == (1, [])
    assert mine.claim(ids[0], 0, 0.001, seen) == "elsewhere"
    other.settle(claim, ids[0], Reply("answered", '{"label": "human"}'))
    assert mine.claim(ids[0], 0, 0.001, seen) == "changed"
    assert [end.outcome for end in mine.done(ids[0])] == ["answered"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("operation", range(1, 12))
def test_a_crash_anywhere_loses_no_answer_and_keeps_the_cap(tmp_path, chat, operation):
    """The store dies at its nth write. What was answered and stored is never asked again."""
    campaign, ids = begin(tmp_path, llm(chat, concurrency=1, timeout_seconds=1.0), batch=4)
    store, writes = campaign.store, 0

    class Dying:
        def __getattr__(self, name):
            return getattr(store, name)

        def create(self, key, content):
            nonlocal writes
            writes += 1
            if writes == operation:
                raise Killed
            return store.create(key, content)

    from dataclasses import replace

    from activelora.labeling.llm.source import LLMSource

    request = make_request(campaign, 0)
    with suppress(Killed):
        LLMSource(get_source).publish(replace(request, campaign=replace(campaign, store=Dying())))
    ledger = Ledger(campaign)
    ledger.refresh()
    assert ledger.spent >= len(chat.requests) * COST - 1e-12
    before = len(chat.requests)
    answered = sum(bool(ledger.done(item_id)) for item_id in ids)
    LLMSource(get_source).publish(request)
    lost = before - answered
    assert lost <= 1
    assert len(chat.requests) == before + len(ids) - answered - lost  # the lost one is asked again when its time is up


def test_the_cap_is_never_exceeded_and_the_round_says_so(tmp_path, chat):
    campaign, _ = begin(tmp_path, llm(chat, max_cost=0.003, concurrency=3), batch=10)
    assert await_labels.run(campaign, 0) is None
    num_paid = len(chat.requests)
    assert 0 < num_paid < 10
    assert num_paid * COST <= 0.003
    publish(campaign)
    assert len(chat.requests) == num_paid
    assert "the spending cap stops it (labeling.llm.max_cost, max_requests)" in waiting_for(campaign, 0)
    assert collect(campaign).count("waiting") == 10 - num_paid


def test_the_cap_on_requests_counts_repeated_ones(tmp_path, chat):
    chat.behave = lambda item, number: (500, b"oops", {"Retry-After": "0"}) if number % 2 else '{"label": "human"}'
    campaign, _ = begin(tmp_path, llm(chat, max_requests=5, concurrency=1))
    publish(campaign)
    assert len(chat.requests) == 5
    assert collect(campaign).count("labeled") == 2


def test_the_cap_may_be_raised(tmp_path, chat):
    from activelora.campaign.campaign import Campaign

    campaign, ids = begin(tmp_path, llm(chat, max_cost=0.0))
    publish(campaign)
    assert chat.requests == []
    document = campaign.config.model_dump(mode="json")
    document["labeling"]["llm"]["max_cost"] = 1.0
    campaign = Campaign.create(campaign.store.uri, checked_config(document, where="test"))
    publish(campaign)
    assert collect(campaign).count("labeled") == len(ids)


def test_answers_outside_the_task_are_invalid_and_passing_over_is_skipped(tmp_path, chat):
    campaign, ids = begin(tmp_path, llm(chat))
    request = make_request(campaign, 0)
    place = {request.items[item_id].fields["text"]: number for number, item_id in enumerate(ids)}
    said = ['{"label": "alien"}', "I think it is human.", '{"label": null}', '{"label": "number"}', None]
    chat.behave = lambda item, number: said[place[item["text"]]]
    publish(campaign)
    collected = collect(campaign)
    assert list(collected.states.values()) == ["invalid", "invalid", "skipped", "labeled", "invalid"]
    assert {one.item_id for one in collected.rejected} == {ids[place] for place in (0, 1, 4)}
    assert len(chat.requests) == len(ids)


def test_votes_decide_and_what_they_disagree_on_goes_to_people(tmp_path, chat):
    labeling = llm(chat, {"source": "files", "below": 0.8}, votes=3, temperature=0.7, concurrency=1)
    campaign, ids = begin(tmp_path, labeling)
    request = make_request(campaign, 0)
    place = {request.items[item_id].fields["text"]: number for number, item_id in enumerate(ids)}
    answers = ["hhh", "hhe", "hen", "xxx", "hhx"]
    words = {"h": '{"label": "human"}', "e": '{"label": "entity"}', "n": '{"label": "number"}', "x": "?"}
    asked = dict.fromkeys(range(5), 0)

    def behave(item, number):
        which = place[item["text"]]
        asked[which] += 1
        return words[answers[which][asked[which] - 1]]

    chat.behave = behave
    assert await_labels.run(campaign, 0) is None
    assert asked == dict.fromkeys(range(5), 3)
    collected = collect(campaign)
    assert list(collected.states.values()) == ["labeled", "waiting", "waiting", "waiting", "waiting"]
    sheet = campaign.store.read("labeling/round-0000/to_label.csv").decode()
    assert [item_id in sheet for item_id in ids] == [False, True, True, True, True]
    assert "67% of the model's answers agree, fewer than 80%" in sheet
    assert "the model's answers tie" in sheet
    assert "the model gave no usable answer" in sheet
    assert set(asked_now(campaign).reasons) == set(ids[1:])
    put(campaign, "a.csv", csv_of(*((item_id, "entity", "bob") for item_id in ids)))
    manifest = await_labels.run(campaign, 0)
    rows = campaign.read_table(manifest, "labels.parquet").to_pylist()
    assert [(row["item_id"], row["annotator"], row["source"]) for row in rows] == [
        (ids[0], "llm:fake-1", "llm"),
        *((item_id, "bob", "files") for item_id in ids[1:]),
    ]


def test_a_random_share_and_what_the_cap_leaves_go_to_people(tmp_path, chat):
    people = {"source": "files", "share": 0.3}
    campaign, ids = begin(tmp_path, llm(chat, people, max_cost=0.004, concurrency=1), batch=15)
    publish(campaign)
    theirs = json.loads(campaign.store.read("labeling/llm/round-0000/people.json"))["items"]
    kinds = {reason.partition(":")[0] for reason in theirs.values()}
    assert kinds == {"drawn at random to be labelled by people", "the model was not asked"}
    assert collect(campaign).count("labeled") == len(ids) - len(theirs) > 0
    num_paid = len(chat.requests)
    chat.behave = lambda item, number: '{"label": "entity"}'
    publish(campaign)
    assert len(chat.requests) == num_paid  # what people were given stays theirs


WRONG = {
    "labeling.llm.url": {"url": ""},
    "labeling.llm.max_cost": {"max_cost": None},
    "labeling.llm.votes": {"votes": 3},
    "labeling.llm.people.below": {"people": {"source": "files", "below": 0.5}},
    "labeling.llm.people.source": {"people": {"share": 0.5}},
    "labeling.label_studio.url": {"people": {"source": "label_studio"}},
}


@pytest.mark.parametrize("key", WRONG)
def test_settings_that_cannot_be(key, tmp_path, chat):
    document = make_campaign(tmp_path).config.model_dump(mode="json")
    document["labeling"] = llm(chat, **WRONG[key])
    with pytest.raises(ProblemsError, match=key):
        checked_config(document, where="test")
    document["labeling"]["source"] = "files"
    with pytest.raises(ProblemsError, match="it belongs to the `llm` label source"):
        checked_config(document, where="test")


def test_gold_questions_need_people(tmp_path, chat):
    document = make_campaign(tmp_path).config.model_dump(mode="json")
    document["labeling"] = {**llm(chat), "gold_questions": 1}
    with pytest.raises(ProblemsError, match=r"labeling.gold_questions.*names nobody"):
        checked_config(document, where="test")
    document["labeling"] = {**llm(chat, {"source": "files"}), "gold_questions": 1}
    checked_config(document, where="test")


def test_a_url_holds_no_secret():
    from pydantic import ValidationError

    from activelora.config.llm import LLMConfig

    with pytest.raises(ValidationError, match="the token is ACTIVELORA_LLM_TOKEN"):
        LLMConfig(url="https://somebody:word@models.example.org/v1")
