"""The compiled pipelines in KFP's local runner. Its mistakes are silent, so what ran is looked at, task by task."""

from __future__ import annotations

import json
import re

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import finished_units
from activelora.config import ResourcesConfig
from components.image import images
from pipelines.cli.status_document import status_document
from pipelines.engines import inline
from pipelines.engines import kfp_local as local
from pipelines.engines.errors import EngineError
from pipelines.graphs.campaign import campaign_pipeline
from pipelines.graphs.placement import Placement
from pipelines.graphs.tick import tick_pipeline
from tests.counting_store import counted_calls
from tests.pipelines.engines.test_inline import digests, fill_in
from tests.pipelines.tiny import tiny_config

FILES = {"labeling": {"source": "files"}, "acquisition": {"batch_size": 4, "strategy": "random"}}


def tasks_run(log: str) -> list[str]:
    """Return the tasks that KFP's log says were executed."""
    return re.findall(r"Executing task '([a-z-]+?)(?:-\d)?'", re.sub(r"\x1b\[[0-9;]*m", "", log))


def rounds_asked(log: str) -> list[int]:
    """Return the round that each task was given, where all are `plan`."""
    inputs = re.findall(r'"parameterValues": \{[^}]*\}', log)
    return [int(re.search(r'"round": (-?\d+)', one).group(1)) for one in inputs if '"round"' in one]


@pytest.fixture
def make_campaign(tmp_path, tiny_model_path):
    def make(name: str = "campaign", **sections: object) -> Campaign:
        return Campaign.create(str(tmp_path / name), tiny_config(tmp_path, tiny_model_path, **sections))

    return make


def place() -> Placement:
    return Placement(ResourcesConfig(), images())


def test_what_is_meant_for_pods_is_not_done_to_this_machine():
    """KFP's local runner gives its tasks the variables of pods, and this machine has no volume at /cache."""
    told = {"model_cache": {"uri": "s3://bucket/models"}, "train": {"num_nodes": 2, "num_processes": 2}}
    graph = local.local_graph(ResourcesConfig.model_validate(told))
    executors = graph.pipeline_spec.deployment_spec["executors"]  # type: ignore[attr-defined]
    assert {one.removeprefix("exec-") for one in executors} >= {"train-adapter", "score-pool"}
    assert all("env" not in one["container"] for one in executors.values())


def test_a_finished_campaign_starts_no_step(make_campaign, capfd):
    campaign = make_campaign(stopping={"max_rounds": 1}, acquisition={"batch_size": 4, "strategy": "random"})
    inline.run_campaign(campaign)
    capfd.readouterr()
    before = digests(campaign)
    result = local.run_campaign(campaign)
    log = capfd.readouterr()
    assert (result.status, result.done) == ("finished", ())
    assert tasks_run(log.out + log.err) == ["plan"]
    assert digests(campaign) == before


@pytest.mark.slow
def test_the_end_is_told_also_when_a_task_fails(make_campaign, capfd):
    told = {"notify": {"secret": "webhook"}}
    campaign = make_campaign(stopping={"max_rounds": 1}, acquisition={"batch_size": 4, "strategy": "random"})
    inline.run_campaign(campaign)
    pipeline = tick_pipeline(Placement(ResourcesConfig.model_validate(told), images()))
    local.run_pipeline(pipeline, {"campaign_uri": campaign.store.uri}, campaign.store.uri)
    (key,) = campaign.store.list("run-ends/")
    assert json.loads(campaign.store.read(key))["state"] == "SUCCEEDED"

    with pytest.raises(EngineError, match="failed"):
        local.run_pipeline(pipeline, {"campaign_uri": f"{campaign.store.uri}-gone"}, "nowhere")
    assert tasks_run("".join(capfd.readouterr()))[-1] == "tell-the-end"


def test_a_waiting_campaign_only_collects(make_campaign, capfd):
    campaign = make_campaign(**FILES)
    inline.run_campaign(campaign)
    capfd.readouterr()
    with counted_calls() as calls:  # of this process: the tasks are others
        result = local.run_campaign(campaign)
        assert status_document(result.seen)["status"] == "waiting"
    log = capfd.readouterr()
    assert (result.status, result.done) == ("waiting", ())
    assert tasks_run(log.out + log.err) == ["plan"]
    assert calls.counts("list")[f"{campaign.store.uri}/rounds/"] == 2, "once before the tasks, and once after them"
    assert rounds_asked(log.out + log.err) == [-1]


def test_each_iteration_of_the_campaign_pipeline_is_one_round(make_campaign, capfd):
    campaign = make_campaign(**FILES)
    inline.run_campaign(campaign)
    capfd.readouterr()
    arguments = {"campaign_uri": campaign.store.uri, "rounds": [0, 1]}
    local.run_pipeline(campaign_pipeline(place(), 2), arguments, campaign.store.uri)
    log = capfd.readouterr()
    assert tasks_run(log.out + log.err) == ["plan", "plan"]
    assert rounds_asked(log.out + log.err) == [0, 1]


def test_a_failing_task_fails_the_run_and_says_why_in_plain_words(make_campaign, tmp_path, capfd):
    campaign = make_campaign()
    (tmp_path / "pool.jsonl").write_text("{broken\n", encoding="utf-8")
    with pytest.raises(EngineError, match="the task ingest-pool of the local pipeline failed"):
        local.run_campaign(campaign)
    assert not finished_units(campaign)
    log = capfd.readouterr().err
    assert "pool.jsonl:1: is not valid JSON" in log
    assert "Traceback" not in log


def test_the_runner_is_left_as_it_was(make_campaign, tmp_path, monkeypatch):
    from kfp.local.config import LocalExecutionConfig

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(EngineError):
        local.run_pipeline(tick_pipeline(place()), {"campaign_uri": str(tmp_path / "none")}, "none")
    assert LocalExecutionConfig.instance is None
    import os

    assert os.environ["TMPDIR"] == str(tmp_path)


@pytest.mark.slow
def test_both_engines_produce_the_same(make_campaign, capfd):
    alone, piped = make_campaign("alone"), make_campaign("piped")
    expected = inline.run_campaign(alone)
    capfd.readouterr()
    result = local.run_campaign(piped)
    log = capfd.readouterr()
    assert (result.status, result.round, result.reason) == (expected.status, expected.round, expected.reason)
    assert set(result.done) == set(expected.done)
    assert digests(piped) == digests(alone)
    for unit in expected.done:
        metrics = [dict(one.require(unit).metrics) for one in (alone, piped)]
        for one in metrics:
            one.pop("seconds", None)
        assert metrics[0] == metrics[1], unit
    assert tasks_run(log.out + log.err).count("score-pool") == 4  # two shards in each of two rounds


@pytest.mark.slow
def test_people_can_answer_between_two_ticks_of_the_pipeline(make_campaign):
    campaign = make_campaign(**FILES)
    assert local.tick(campaign).status == "waiting"
    fill_in(campaign, 0, 4)
    result = local.tick(campaign)
    assert (result.status, result.round) == ("waiting", 1)
    assert {str(unit) for unit in result.done} >= {"await_labels round 0", "train_adapter round 1"}
