"""Pipelines that are registered on clusters hold component bodies of an older commit, which today's image runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from kfp.dsl.executor import Executor

from activelora.campaign.campaign import Campaign, stop_reason
from activelora.campaign.manifest import Unit
from components.plan.step import Due
from pipelines.engines import inline
from tests.pipelines.engines.test_inline import digests
from tests.pipelines.tiny import tiny_config

BODIES: dict[str, str] = json.loads(Path(__file__).with_name("bodies_0_1_0.json").read_text(encoding="utf-8"))
"""Written by component_bodies.py from f7d52e2."""
IN_A_JOB = "train_adapter in a TrainJob"
OLD_NAMES = {
    "plan": "pipelines.due",
    "tell_the_end": "pipelines.notice",
    IN_A_JOB: "pipelines.train_step",
}
"""Of the modules that a body imports and that have moved since."""
ARTIFACTS = {
    "ingest_pool": {"pool": "system.Dataset"},
    "train_adapter": {"adapter": "system.Model"},
    IN_A_JOB: {"adapter": "system.Model"},
    "evaluate_adapter": {"metrics": "system.Metrics", "report": "system.HTML"},
    "select_batch": {"batch": "system.Dataset"},
}
OUTPUTS = {
    "round": int,
    "ingest": bool,
    "collect": bool,
    "work": bool,
    "train": bool,
    "evaluate": bool,
    "label": bool,
    "score": bool,
    "shards": list,
    "select": bool,
}
"""Of `plan`: what the older graph branches on, in the order in which its body names them."""
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A body, run by KFP's executor as in a pod; its output parameters. Old names warn, and nothing else does."""

    def run_body(name: str, **parameters: object) -> dict[str, Any]:
        namespace: dict[str, Any] = {}
        program = compile(BODIES[name], "ephemeral_component.py", "exec", dont_inherit=True)  # real types, for KFP
        exec(program, namespace)  # noqa: S102 - it is what a pod does
        folder = tmp_path / "outputs" / name
        artifacts = {
            output: {"artifacts": [{"name": output, "type": {"schemaTitle": kind}, "uri": str(folder / output)}]}
            for output, kind in ARTIFACTS.get(name, {}).items()
        }
        told = {
            "inputs": {"parameterValues": parameters},
            "outputs": {"artifacts": artifacts, "outputFile": str(folder / "executor_output.json")},
        }
        old = OLD_NAMES.get(name)
        if old is not None:
            monkeypatch.delitem(sys.modules, old, raising=False)  # a pod imports it for the first time
        warns = nullcontext() if old is None else pytest.warns(DeprecationWarning, match=f"^{old} is now ")
        with warns:
            Executor(told, namespace[name.partition(" ")[0]]).execute()
        written = folder / "executor_output.json"
        document = json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}
        found: dict[str, Any] = document.get("parameterValues", {})
        return found

    return run_body


def tiny(tmp_path: Path, model_path: Path, name: str) -> Campaign:
    config = tiny_config(
        tmp_path, model_path, acquisition={"batch_size": 4, "strategy": "random"}, stopping={"max_rounds": 1}
    )
    return Campaign.create(str(tmp_path / name), config)


def test_an_older_pipeline_runs_a_campaign_as_the_inline_engine_does(run_body, tmp_path, tiny_model_path):
    campaign = tiny(tmp_path, tiny_model_path, "piped")
    uri = campaign.store.uri

    def plan(publish: bool) -> Due:
        outputs = run_body("plan", campaign_uri=uri, round=-1, publish=publish)
        assert {name: type(value) for name, value in outputs.items()} == OUTPUTS
        assert list(outputs) == list(OUTPUTS) == list(Due._fields)
        return Due(**{**outputs, "shards": tuple(outputs["shards"])})

    assert plan(False) == Due(0, ingest=True)
    run_body("ingest_pool", campaign_uri=uri)
    assert plan(False) == Due(0, work=True, evaluate=True)
    run_body("evaluate_adapter", campaign_uri=uri, round=0)
    assert plan(True) == Due(0, work=True, label=True, score=True, shards=(0, 1), select=True)
    for shard in (0, 1):
        run_body("score_pool", campaign_uri=uri, round=0, shard=shard)
    run_body("select_batch", campaign_uri=uri, round=0)
    run_body("await_labels", campaign_uri=uri, round=0)
    assert b"The next steps: train_adapter round 1" in campaign.store.read("report.html")
    assert plan(False) == Due(1, work=True, train=True, evaluate=True)
    run_body("train_adapter", campaign_uri=uri, round=1)
    run_body("evaluate_adapter", campaign_uri=uri, round=1)
    assert plan(True) == Due(1)

    alone = tiny(tmp_path, tiny_model_path, "alone")
    assert inline.run_campaign(alone).reason == stop_reason(campaign)
    assert digests(campaign) == digests(alone)
    assert b"The campaign ended" in campaign.store.read("report.html")
    shown = tmp_path / "outputs"
    assert b"ActiveLoRA campaign report" in (shown / "evaluate_adapter" / "report").read_bytes()
    pointer = json.loads((shown / "train_adapter" / "adapter").read_text(encoding="utf-8"))
    assert pointer["digest"] == campaign.require(Unit("train_adapter", 1)).digest


def test_the_end_of_a_run_is_told(run_body, tmp_path, monkeypatch):
    from activelora.notices import WEBHOOK_VARIABLE

    monkeypatch.delenv(WEBHOOK_VARIABLE, raising=False)
    campaign = tiny(tmp_path, tmp_path / "no-model", "told")
    status = {"state": "FAILED", "error": {"message": "a pod was killed"}}
    run_body("tell_the_end", campaign_uri=campaign.store.uri, status=status)
    (key,) = campaign.store.list("run-ends/")
    record = json.loads(campaign.store.read(key))
    assert (record["state"], record["error"]) == ("FAILED", "a pod was killed")


def test_a_training_on_several_nodes_gets_to_what_its_pod_must_be_told(run_body, tmp_path, monkeypatch, caplog):
    from pipelines.cluster.train_step import JOB_VARIABLE

    assert JOB_VARIABLE == "ACTIVELORA_TRAIN_JOB"  # the older graph gives it by this name
    monkeypatch.delenv(JOB_VARIABLE, raising=False)
    campaign = tiny(tmp_path, tmp_path / "no-model", "several")
    with pytest.raises(SystemExit) as end:
        run_body(IN_A_JOB, campaign_uri=campaign.store.uri, round=1)
    assert end.value.code == 1
    assert f"{JOB_VARIABLE}: is not set: only a pod of a compiled pipeline has it" in caplog.text


def test_every_body_is_run_here():
    """A body that a later fixture adds is a test to add."""
    steps = {"ingest_pool", "train_adapter", "evaluate_adapter", "score_pool", "select_batch", "await_labels"}
    assert set(BODIES) == steps | {"plan", "tell_the_end", IN_A_JOB}
    for name, old in OLD_NAMES.items():
        assert f"from {old} import" in BODIES[name]
    assert all("from components.entry import" in BODIES[name] for name in steps)
