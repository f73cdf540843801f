"""Campaigns that go on: `extend` lifts an end with an amendment, once, and everything then goes by the new settings."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from activelora.campaign import extension
from activelora.campaign.amendments import amendments_in_words, read_amendments
from activelora.campaign.campaign import Campaign, stop_campaign, stop_reason
from activelora.campaign.extension import extend
from activelora.campaign.frozen import NewerCampaignError
from activelora.campaign.ledger import next_plan
from activelora.campaign.manifest import Unit
from activelora.campaign.migrations import SCHEMA_VERSION
from activelora.errors import ConfigError, StoreError
from components.plan.step import close_if_due
from pipelines.engines.inline import run_campaign
from tests.pipelines.conftest import finish_step, make_config
from tests.pipelines.tiny import tiny_config
from tests.tracking import conftest as tracking

build_campaign = tracking.build_campaign
ROUND = ("evaluate_adapter", "score_pool", "select_batch", "await_labels")


def do_round(campaign, round_):
    for step in ROUND if round_ == 0 else ("train_adapter", *ROUND):
        finish_step(campaign, step, round_)


def do_measure(campaign, round_):
    finish_step(campaign, "train_adapter", round_)
    finish_step(campaign, "evaluate_adapter", round_)


@pytest.fixture
def ended(new_campaign):
    """A campaign of two planned rounds that has come to its end."""
    campaign = new_campaign("ingest_pool")
    for round_ in range(2):
        do_round(campaign, round_)
    do_measure(campaign, 2)
    assert close_if_due(campaign) == "all 2 planned rounds are done (8 labels)"
    return campaign


def contents(campaign):
    return {key: campaign.store.read(key) for key in campaign.store.list("")}


def test_the_command_tells_what_is_now(build_campaign, run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    campaign = build_campaign(tracking__enabled=False)
    before = contents(campaign)
    code, out, err = run("extend", campaign.store.uri, "--rounds", 3, "--labels", 100)
    assert code == 0, err
    lifted = f"it had ended: {stop_reason(campaign)}"
    assert f"stopping.label_budget 160, stopping.max_rounds 6; {lifted}" in out
    assert "now: at most 160 labels in 6 rounds" in out
    after = contents(campaign)
    assert {key: after[key] for key in before} == before
    assert "Amendment" in after["report.html"].decode()
    _, out, _ = run("status", campaign.store.uri)
    assert lifted in " ".join(out.split())
    assert "next: score_pool" in out
    document = json.loads(run("status", campaign.store.uri, "--json")[1])
    assert (document["status"], document["label_budget"], len(document["amendments"])) == ("running", 160, 1)


def test_a_campaign_goes_on_by_an_amendment_and_ends_anew(ended):
    before = contents(ended)
    extended = extend(ended, rounds=3, labels=100, resume=False)
    after = contents(ended)
    assert {key: after[key] for key in before} == before
    campaign = Campaign.open(ended.store.uri)
    assert campaign.config == extended.config
    assert (campaign.config.stopping.max_rounds, campaign.config.label_budget) == (5, 108)
    assert stop_reason(campaign) is None
    plan = next_plan(campaign)
    assert (plan.status, plan.round, plan.units[0].step) == ("work", 2, "score_pool")
    for step in ROUND[1:]:
        finish_step(campaign, step, 2)
    for round_ in (3, 4):
        do_round(campaign, round_)
    do_measure(campaign, 5)
    assert close_if_due(campaign) == "all 5 planned rounds are done (20 labels)"
    assert json.loads(campaign.store.read("stopped-0002.json"))["reason"] == stop_reason(campaign)
    assert campaign.store.read("stopped.json") == before["stopped.json"]
    again = extend(campaign, rounds=1, resume=False)
    assert again.config.stopping.max_rounds == 6
    assert again.config.label_budget == 108
    assert [one.number for one in read_amendments(campaign.store)] == [1, 2]


def test_the_amendment_names_the_end_that_it_lifts(ended):
    import hashlib

    extended = extend(ended, rounds=1, resume=False)
    document = json.loads(ended.store.read("amendments/0001.json"))
    assert document["lifts"]["key"] == "stopped.json"
    assert document["lifts"]["sha256"] == hashlib.sha256(ended.store.read("stopped.json")).hexdigest()
    assert document["settings"] == {"stopping.max_rounds": 3}
    assert extended.amendments == Campaign.open(ended.store.uri).amendments


def test_who_opened_it_before_sees_the_end_that_was_lifted_and_never_ends_it_anew(ended):
    stale = Campaign.open(ended.store.uri)
    extend(ended, rounds=1, resume=False)
    assert next_plan(stale).status == "stopped"
    stop_campaign(stale, "the old plan is done")
    assert stop_reason(Campaign.open(ended.store.uri)) is None


def test_of_two_at_once_one_wins_and_the_other_says_so(ended):
    def try_(number):
        try:
            return extend(Campaign.open(ended.store.uri), rounds=number, resume=False)
        except ConfigError as error:
            return str(error)

    opened = [Campaign.open(ended.store.uri) for _ in range(8)]

    def race(number):
        try:
            return extend(opened[number], rounds=number + 1, resume=False)
        except ConfigError as error:
            return str(error)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(race, range(8)))
    won = [one for one in found if isinstance(one, Campaign)]
    assert len(won) == 1
    assert all("somebody else has extended the campaign at the same time" in one for one in found if one not in won)
    assert Campaign.open(ended.store.uri).config == won[0].config
    assert "the campaign has not ended" in try_(1)


def test_a_stop_by_hand_needs_resume_and_then_needs_no_more(new_campaign, run):
    campaign = new_campaign("ingest_pool")
    do_round(campaign, 0)
    stop_campaign(campaign, "stopped by hand: holidays", by_hand=True)
    code, _, err = run("extend", campaign.store.uri, "--rounds", 1)
    assert code == 1
    assert "the campaign was stopped by hand: holidays" in " ".join(err.split())
    assert "--resume" in err
    assert not campaign.store.exists("amendments/0001.json")
    extended = extend(campaign, resume=True)
    said = amendments_in_words(extended.amendments)[0]
    assert said.endswith(": resumed as it was; it had ended: stopped by hand: holidays")
    opened = Campaign.open(campaign.store.uri)
    assert opened.config == campaign.config
    assert next_plan(opened).units == (Unit("train_adapter", 1),)


def test_a_stop_by_hand_of_an_older_version_is_told_by_its_reason(new_campaign):
    campaign = new_campaign("ingest_pool")
    campaign.store.write("stopped.json", json.dumps({"reason": "stopped by hand: x", "stopped_at": "2026"}).encode())
    with pytest.raises(ConfigError, match="stopped by hand: x"):
        extend(campaign, rounds=1, resume=False)
    assert extend(campaign, rounds=1, resume=True).config.stopping.max_rounds == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "would end again at once: all 2 planned rounds are done"),
        (("--labels", 100), "would end again at once: all 2 planned rounds are done"),
        (("--set", "stopping.max_rounds=2"), "2 is no more than 2"),
        (("--set", "stopping.max_rounds=null"), "null is no more than 2"),
        (("--set", "stopping.max_rounds=many"), "'many' is not a number"),
        (("--set", "stopping.max_rounds=2.5"), "integer"),
        (("--set", "seed=4"), "seed: is no setting that can grow"),
        (("--set", "stopping.target_ece=0.1"), "is not set, so it ended nothing"),
        (("--set", "stopping"), "is not KEY=VALUE"),
        (("--rounds", 1, "--set", "stopping.max_rounds=9"), "is set too, and says the same"),
    ],
)
def test_what_does_not_let_it_go_on_is_refused_and_nothing_is_written(ended, run, options, said):
    before = contents(ended)
    code, _, err = run("extend", ended.store.uri, *options)
    assert code == 1
    assert said in " ".join(err.split())
    assert contents(ended) == before


def test_a_campaign_that_has_not_ended_is_not_extended(new_campaign, run):
    campaign = new_campaign("ingest_pool")
    code, _, err = run("extend", campaign.store.uri, "--rounds", 1)
    assert code == 1
    assert "the campaign has not ended" in err


def test_a_target_that_was_reached_may_rise_or_go(new_campaign):
    campaign = new_campaign("ingest_pool", stopping={"max_rounds": 4, "target_accuracy": 0.4, "target_on": "point"})
    finish_step(campaign, "evaluate_adapter")
    assert "the target is reached" in close_if_due(campaign)
    with pytest.raises(ConfigError, match="would end again at once: the target is reached"):
        extend(campaign, rounds=2, resume=False)
    with pytest.raises(ConfigError, match=r"0.3 is no more than 0.4"):
        extend(campaign, settings={"stopping.target_accuracy": 0.3}, resume=False)
    assert extend(campaign, settings={"stopping.target_accuracy": None}, resume=False).config.stopping == (
        campaign.config.stopping.model_copy(update={"target_accuracy": None})
    )


def test_an_end_that_a_wait_decided_is_lifted_too(new_campaign):
    campaign = new_campaign("ingest_pool")
    do_round(campaign, 0)
    for step in ("train_adapter", *ROUND[:-1]):
        finish_step(campaign, step, 1)
    details = {"action": "stop", "decision": "the deadline for labels passed"}
    campaign.attempt(Unit("await_labels", 1)).commit({"num_labeled": 2.0}, details)
    assert close_if_due(campaign) == "the deadline for labels passed"
    extended = extend(campaign, rounds=1, resume=False)
    assert next_plan(extended).units == (Unit("train_adapter", 2),)
    assert next_plan(Campaign.open(campaign.store.uri)).units == (Unit("train_adapter", 2),)
    do_measure(extended, 2)
    for step in ROUND[1:-1]:
        finish_step(extended, step, 2)
    extended.attempt(Unit("await_labels", 2)).commit({"num_labeled": 0.0}, details)
    assert close_if_due(extended) == "the deadline for labels passed", "a later wait ends it as ever"


def test_without_a_label_there_is_nothing_to_go_on_with(new_campaign):
    campaign = new_campaign("ingest_pool", *ROUND[:-1])
    details = {"action": "stop", "decision": "every item of round 0 was skipped"}
    campaign.attempt(Unit("await_labels", 0)).commit({"num_labeled": 0.0}, details)
    assert close_if_due(campaign)
    with pytest.raises(ConfigError, match="nothing is labelled, so there is nothing to train on"):
        extend(campaign, rounds=1, resume=False)


def test_a_file_may_say_what_the_campaign_began_with_or_what_it_is_now(ended):
    extend(ended, rounds=1, resume=False)
    began, now = ended.config, make_config(stopping={"max_rounds": 3})
    for file in (began, now):
        opened = Campaign.create(ended.store.uri, file)
        assert opened.config.stopping.max_rounds == 3
        assert opened.amendments
    with pytest.raises(ConfigError, match=r"stopping\.max_rounds: 3 there, 4 asked"):
        Campaign.create(ended.store.uri, make_config(stopping={"max_rounds": 4}))


@pytest.mark.parametrize("killed_after", ["schema", "amendment"])
def test_killed_between_two_writes_nothing_is_lost(ended, monkeypatch, killed_after):
    document = json.loads(ended.store.read("campaign.json")) | {"schema_version": SCHEMA_VERSION - 1}
    ended.store.write("campaign.json", json.dumps(document).encode())
    campaign = Campaign.open(ended.store.uri)
    create = type(campaign.store).create

    def killed(store, key, content):
        done = create(store, key, content)
        if key.startswith(killed_after):
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(type(campaign.store), "create", killed)
        with pytest.raises(KeyboardInterrupt):
            extend(campaign, rounds=1, resume=False)
    opened = Campaign.open(ended.store.uri)
    if killed_after == "schema":
        assert stop_reason(opened) == "all 2 planned rounds are done (8 labels)"
        extend(opened, rounds=1, resume=False)
        opened = Campaign.open(ended.store.uri)
    assert stop_reason(opened) is None
    assert opened.config.stopping.max_rounds == 3


def test_an_older_version_does_not_misread_an_amended_campaign(ended, monkeypatch):
    document = json.loads(ended.store.read("campaign.json")) | {"schema_version": SCHEMA_VERSION - 1}
    ended.store.write("campaign.json", json.dumps(document).encode())
    extend(Campaign.open(ended.store.uri), rounds=1, resume=False)
    monkeypatch.setattr("activelora.campaign.frozen.SCHEMA_VERSION", SCHEMA_VERSION - 1)
    monkeypatch.setattr("activelora.campaign.migrations.SCHEMA_VERSION", SCHEMA_VERSION - 1)
    with pytest.raises(NewerCampaignError, match="has written in this campaign"):
        Campaign.open(ended.store.uri)


def test_what_a_newer_version_has_amended_is_read_as_far_as_it_is_known(ended):
    extend(ended, rounds=1, resume=False)
    store = ended.store
    document = json.loads(store.read("amendments/0001.json"))
    del document["digest"]
    document["settings"]["stopping.telepathy"] = 1
    from activelora.config.file import document_digest

    store.write("amendments/0001.json", json.dumps({**document, "digest": document_digest(document)}).encode())
    store.create(f"schema-{SCHEMA_VERSION + 1:04d}.json", b"{}")
    assert Campaign.open(store.uri, to_read=True).config.stopping.max_rounds == 3


@pytest.mark.parametrize("damage", [b"{", b"[]", b"{}", "changed", "gone"])
def test_a_damaged_amendment_is_told(ended, damage):
    extended = extend(ended, rounds=1, resume=False)
    key = "amendments/0001.json"
    if damage == "gone":
        stop_campaign(extended, "again")
        extend(extended, rounds=1, resume=False)
        extended.store.delete(key)
    elif damage == "changed":
        extended.store.write(key, extended.store.read(key).replace(b'max_rounds": 3', b'max_rounds": 9'))
    else:
        extended.store.write(key, damage)
    with pytest.raises(StoreError, match=r"missing|changed or damaged"):
        Campaign.open(ended.store.uri)


def test_every_setting_that_grows_is_one_of_the_schema():
    config = make_config()
    for key in extension.GROWS:
        extension.value_of(config, key)


def test_an_end_that_is_due_and_not_recorded_is_recorded_first(build_campaign, run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    campaign = build_campaign(tracking__enabled=False)
    campaign.store.delete("stopped.json")  # killed in between
    assert next_plan(campaign).status == "stop"
    code, _, err = run("extend", campaign.store.uri, "--rounds", 1)
    assert code == 0, err
    assert campaign.store.exists("stopped.json")
    assert next_plan(Campaign.open(campaign.store.uri)).status == "work"


def test_mlflow_says_that_it_runs_again(build_campaign, empty_database, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    campaign = build_campaign()
    shutil.copy(empty_database, Path(campaign.store.uri) / "mlflow.db")
    from mlflow import MlflowClient

    from activelora.tracking.mlflow_location import tracking_uri
    from activelora.tracking.mlflow_sync import sync

    client = MlflowClient(tracking_uri=tracking_uri(campaign))

    def runs():
        experiment = client.get_experiment_by_name("activelora")
        found = client.search_runs([experiment.experiment_id])
        parent = next(one for one in found if "mlflow.parentRunId" not in one.data.tags)
        return parent, {one.data.tags["activelora.round"]: one.info.status for one in found if one is not parent}

    assert sync(campaign)
    assert runs()[0].info.status == "FINISHED"
    extended = extend(campaign, rounds=2, resume=False)
    for _ in range(2):
        assert sync(extended)
        parent, children = runs()
        assert parent.info.status == "RUNNING"
        assert "activelora.stop_reason" not in parent.data.tags
        assert "stopping.max_rounds 5" in parent.data.tags["activelora.amendments"]
        assert "at most 100 labels" in parent.data.tags["mlflow.note.content"]
        assert parent.data.params["stopping.max_rounds"] == "3"
        assert children == {"0": "FINISHED", "1": "FINISHED", "2": "FINISHED", "3": "RUNNING"}
    stop_campaign(extended, "stopped by hand: enough", by_hand=True)
    for _ in range(2):
        assert sync(extended)
        parent, children = runs()
        assert parent.info.status == "FINISHED"
        assert parent.data.tags["activelora.stop_reason"] == "stopped by hand: enough"
        assert set(children.values()) == {"FINISHED"}


def test_an_extension_keeps_the_policy(build_campaign, run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    campaign = build_campaign(tracking__enabled=False)
    (tmp_path / "rules.yaml").write_text("rules: [{setting: label_budget, at_most: 100, words: Ask your boss.}]\n")
    monkeypatch.setenv("ACTIVELORA_POLICY", "rules.yaml")
    before = contents(campaign)
    code, _, err = run("extend", campaign.store.uri, "--rounds", 3, "--labels", 100)
    assert code == 1
    assert "must be at most 100, and it is 160. Ask your boss." in " ".join(err.split())
    assert contents(campaign) == before
    code, _, err = run("extend", campaign.store.uri, "--rounds", 1, "--labels", 20)
    assert code == 0, err


def test_in_s3_too_one_extension_counts(s3_uri):
    campaign = Campaign.create(s3_uri, make_config())
    for step in ("ingest_pool", "evaluate_adapter"):
        finish_step(campaign, step)
    stop_campaign(campaign, "stopped by hand: pause", by_hand=True)
    opened = [Campaign.open(s3_uri) for _ in range(4)]

    def race(number):
        try:
            return extend(opened[number], rounds=number + 1, resume=True)
        except ConfigError as error:
            return str(error)

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(race, range(4)))
    (won,) = (one for one in found if isinstance(one, Campaign))
    assert Campaign.open(s3_uri).config == won.config
    assert stop_reason(Campaign.open(s3_uri)) is None


def test_a_real_campaign_runs_on_to_its_next_end(tmp_path, tiny_model_path):
    random = {"batch_size": 4, "strategy": "random"}
    config = tiny_config(tmp_path, tiny_model_path, acquisition=random, stopping={"max_rounds": 1})
    campaign = Campaign.create(str(tmp_path / "campaign"), config)
    assert run_campaign(campaign).reason == "all 1 planned rounds are done (4 labels)"
    extended = extend(campaign, rounds=1, resume=False)
    result = run_campaign(extended)
    assert result.reason == "all 2 planned rounds are done (8 labels)"
    assert extended.require(Unit("train_adapter", 2)).metrics["num_labels"] == 8
    assert run_campaign(campaign).status == "finished", "who opened it before does nothing more"
