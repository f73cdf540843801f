"""`activelora submit --predict`: what Kubeflow is sent, what its pods run, and what is refused before that."""

from __future__ import annotations

import json

import pytest
import yaml

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.campaign.store import open_store
from activelora.config import ResourcesConfig
from activelora.prediction.parts import PartsRequest
from activelora.rules.file import checked_config
from components.image import images
from pipelines.cli.main import main
from pipelines.graphs.compile import compile_predict
from tests.pipelines.cluster.test_commands import DOCUMENT


@pytest.fixture
def campaign(s3_uri):
    """A campaign whose second round is champion, and a table beside it."""
    document = {**DOCUMENT, "resources": {**DOCUMENT["resources"], "parallel_shards": 3}}
    made = Campaign.create(f"{s3_uri}/campaign", checked_config(document, where="campaign.yaml"))
    for round_, passed in ((0, False), (1, True), (2, True), (3, False)):
        gates = {"passed": passed, "reasons": [] if passed else ["accuracy 0.1 is below the gate's 0.5"]}
        made.attempt(Unit("evaluate_adapter", round_)).commit(details={"gates": gates})
    open_store(s3_uri).write("table.csv", b"text\nred\n")
    return made


def test_every_pod_answers_a_share_of_the_champion_s(campaign, s3_uri, kfp, monkeypatch, capsys):
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", kfp.url)
    command = ["submit", campaign.store.uri, "--predict", f"{s3_uri}/table.csv", "--out", f"{s3_uri}/answers/"]
    assert main([*command, "--max-risk", "0.05", "--probabilities"]) == 0
    assert f"round 2 answers into {s3_uri}/answers" in capsys.readouterr().out
    (run,) = kfp.runs.values()
    parameters = run["runtime_config"]["parameters"]
    assert parameters["campaign_uri"] == campaign.store.uri
    assert parameters["workers"] == [0, 1, 2]
    wanted = PartsRequest(f"{s3_uri}/table.csv", f"{s3_uri}/answers", 2, 3, max_risk=0.05, probabilities=True)
    assert PartsRequest.of(parameters["request"]) == wanted
    assert run["service_account"] == "activelora-steps"
    assert [one["name"] for one in kfp.pipelines.values()] == ["tickets-predict"]
    needed = next(yaml.safe_load_all(kfp.uploads[0]))["root"]["inputDefinitions"]["parameters"]
    assert set(needed) == set(parameters)
    assert main([*command, "--round", "1"]) == 0
    assert len(kfp.versions) == 1
    assert '"round": 1' in list(kfp.runs.values())[1]["runtime_config"]["parameters"]["request"]


@pytest.mark.parametrize(
    ("table", "out", "more", "message"),
    [
        ("table.csv", "answers", ["--round", "9"], "round 9 is not evaluated"),
        ("none.csv", "answers", [], "none.csv"),
        ("table.csv", None, [], "nobody said where the answers go"),
    ],
)
def test_what_pods_would_fail_at_is_refused_here(campaign, s3_uri, kfp, capsys, table, out, more, message):
    command = ["submit", campaign.store.uri, "--endpoint", kfp.url, "--predict", f"{s3_uri}/{table}", *more]
    assert main([*command, *(["--out", f"{s3_uri}/{out}"] if out else [])]) == 1
    assert message in capsys.readouterr().err
    assert kfp.changes() == []


def test_what_is_on_this_machine_is_refused(campaign, kfp, capsys):
    command = ["submit", campaign.store.uri, "--endpoint", kfp.url]
    assert main([*command, "--predict", "table.csv", "--out", "answers"]) == 1
    told = capsys.readouterr().err
    assert "--predict: 'table.csv' is on this machine" in told
    assert "--out: 'answers' is on this machine" in told
    assert main([*command, "--out", "s3://bucket/answers"]) == 1
    assert "--out belongs to --predict" in capsys.readouterr().err


def test_the_graph_is_a_loop_over_placed_pods():
    resources = ResourcesConfig.model_validate(
        {
            "score": {"accelerator_type": "nvidia.com/gpu", "memory": "9Gi", "node_selector": {"pool": "a100"}},
            "parallel_shards": 3,
            "secret_env": {"HF_TOKEN": {"name": "hub"}},
            "model_cache": {"claim": "models"},
        }
    )
    text = compile_predict(resources, images())
    assert text == compile_predict(resources, images())
    spec, platform = yaml.safe_load_all(text)
    (executor,) = spec["deploymentSpec"]["executors"].values()
    assert executor["container"]["image"] == images().gpu
    assert executor["container"]["resources"]["resourceMemoryLimit"] == "9Gi"
    (pod,) = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    assert pod["secretAsEnv"][0]["keyToEnv"] == [{"envVar": "HF_TOKEN", "secretKey": "HF_TOKEN"}]
    assert pod["pvcMount"][0]["mountPath"] == "/cache"
    tasks = [task for one in spec["components"].values() for task in one.get("dag", {}).get("tasks", {}).values()]
    (loop,) = [task for task in tasks if "parameterIterator" in task]
    assert loop["iteratorPolicy"] == {"parallelismLimit": 3}
    assert "a100" not in json.dumps(spec)
