"""What people look at is written by the graph itself: run by KFP alone, it leaves what the inline engine leaves."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from activelora.campaign.campaign import Campaign, stop_reason
from activelora.campaign.manifest import Unit
from activelora.tracking.mlflow_location import prepare_environment, tracking_uri
from activelora.tracking.publish import PUBLISHED_KEY
from activelora.tracking.report import REPORT_KEY
from pipelines.cli.status_document import status_document
from pipelines.engines import inline
from pipelines.engines import kfp_local as local
from tests.pipelines.engines.test_inline import fill_in
from tests.pipelines.tiny import tiny_config

prepare_environment()
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Run  # noqa: E402

CHANGING = re.compile(
    r"attempt-[0-9a-f-]+|[0-9a-f]{32,64}|\d{4}-\d\d-\d\d[T ][\d:.+]+Z?"
    r"|\b(\d+ h )?(\d+ min )?\d+(\.\d+)? s\b|\b(\d+ h )?\d+ min\b"
)
"""Times, and names that are drawn anew by every attempt or run."""


@pytest.fixture
def make_two(tmp_path, tiny_model_path, empty_database, monkeypatch):
    """Two equal campaigns, each with its own MLflow: one for each engine."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)

    def make(**sections: object) -> tuple[Campaign, Campaign]:
        config = tiny_config(tmp_path, tiny_model_path, tracking={}, **sections)
        pair = tuple(Campaign.create(str(tmp_path / name), config) for name in ("alone", "graph"))
        for campaign in pair:
            shutil.copy(empty_database, Path(campaign.store.uri) / "mlflow.db")
        return pair

    return make


def run_graph(campaign: Campaign) -> None:
    """Run the local form of the tick in KFP's local runner, with nothing beside it."""
    graph = local.local_graph(campaign.config.resources)
    with local.in_subprocesses():
        graph(campaign_uri=campaign.store.uri)


def steady(campaign: Campaign, text: str) -> str:
    """Return a text without what differs between two runs of the same campaign."""
    return CHANGING.sub("…", text.replace(campaign.store.uri, "URI"))


def run_of(campaign: Campaign, client: MlflowClient, run: Run) -> dict[str, Any]:
    def files(folder: str | None = None) -> list[str]:
        found = client.list_artifacts(run.info.run_id, folder)
        return [path for one in found for path in (files(one.path) if one.is_dir else [one.path])]

    tags = {name: text for name, text in run.data.tags.items() if name not in ("mlflow.user", "activelora.created_ns")}
    return {
        "status": run.info.status,
        "params": {name: steady(campaign, text) for name, text in run.data.params.items()},
        "tags": {name: steady(campaign, text) for name, text in tags.items()},
        "metrics": {
            name: [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
            if not name.startswith("seconds/")
        },
        "files": files(),
        "datasets": sorted(one.dataset.name for one in run.inputs.dataset_inputs),
    }


def in_mlflow(campaign: Campaign, folder: Path) -> dict[str, Any]:
    """Return what MLflow shows, after comparing its copy of the report with the campaign's."""
    client = MlflowClient(tracking_uri=tracking_uri(campaign))
    experiment = client.get_experiment_by_name(campaign.config.tracking.experiment)
    runs = {run.data.tags["mlflow.runName"]: run for run in client.search_runs([experiment.experiment_id])}
    copy = client.download_artifacts(runs[campaign.config.name].info.run_id, REPORT_KEY, str(folder))
    assert Path(copy).read_bytes() == campaign.store.read(REPORT_KEY)
    versions = {
        model.name: [client.get_model_version(model.name, one.version) for one in model.latest_versions]
        for model in client.search_registered_models()
    }
    return {
        "runs": {name: run_of(campaign, client, run) for name, run in runs.items()},
        "models": {name: [(int(one.version), one.aliases) for one in found] for name, found in versions.items()},
    }


def left_by(campaign: Campaign, folder: Path) -> dict[str, Any]:
    """Return report, MLflow and status of a campaign, ready to be compared."""
    folder.mkdir(parents=True, exist_ok=True)
    status = json.loads(json.dumps(status_document(campaign)))
    for one in status["rounds"]:
        one.pop("seconds")
    return {
        "status": json.loads(steady(campaign, json.dumps(status))),
        "report": steady(campaign, campaign.store.read(REPORT_KEY).decode()).splitlines(),
        "mlflow": in_mlflow(campaign, folder),
    }


def same(pair: tuple[Campaign, Campaign], folder: Path) -> dict[str, Any]:
    """Compare what the two engines left, and return it."""
    expected, found = (left_by(campaign, folder / Path(campaign.store.uri).name) for campaign in pair)
    assert found == expected
    return found


def written(campaign: Campaign) -> dict[str, int]:
    """Return when report, note and database were written."""
    names = (REPORT_KEY, PUBLISHED_KEY, "mlflow.db")
    return {name: (Path(campaign.store.uri) / name).stat().st_mtime_ns for name in names}


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_graph_alone_leaves_what_the_inline_engine_leaves(make_two, tmp_path):
    """While labels are waited for, after a tick that changed nothing, at the end with a gate that failed, and later."""
    pair = make_two(
        labeling={"source": "files"},
        acquisition={"batch_size": 4, "strategy": "random"},
        stopping={"max_rounds": 1},
        evaluation={"bootstrap_samples": 100, "gates": {"min_accuracy": 1.0}},
    )
    alone, graph = pair
    inline.tick(alone)
    run_graph(graph)
    waiting = same(pair, tmp_path / "waiting")
    assert waiting["status"]["status"] == "waiting"
    assert any("It waits for people: 4 items of round 0" in line for line in waiting["report"])
    assert "selection/selection.parquet" in waiting["mlflow"]["runs"]["round 0"]["files"]

    before = [written(campaign) for campaign in pair]
    assert inline.tick(alone).status == "waiting"
    run_graph(graph)
    assert [written(campaign) for campaign in pair] == before
    assert same(pair, tmp_path / "idle") == waiting

    for campaign in pair:
        fill_in(campaign, 0, 4)
    assert inline.tick(alone).status == "finished"
    run_graph(graph)
    ended = same(pair, tmp_path / "ended")
    assert stop_reason(graph) is not None
    assert not graph.require(Unit("evaluate_adapter", 1)).details["gates"]["passed"]
    assert any("below the gate" in line for line in ended["report"])
    assert ended["mlflow"]["runs"]["tiny"]["status"] == "FINISHED"
    assert ended["mlflow"]["models"] == {"tiny": [(1, [])]}

    inline.tick(alone)
    run_graph(graph)
    assert same(pair, tmp_path / "later") == ended


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_also_where_labels_come_at_once_and_the_gates_pass(make_two, tmp_path):
    pair = make_two(acquisition={"batch_size": 4, "strategy": "random"}, stopping={"max_rounds": 1})
    alone, graph = pair
    assert inline.tick(alone).status == "moved"
    run_graph(graph)
    moved = same(pair, tmp_path / "moved")
    assert any("The next steps: train_adapter round 1" in line for line in moved["report"])
    assert "labels/labels.parquet" in moved["mlflow"]["runs"]["round 0"]["files"]
    assert moved["mlflow"]["runs"]["round 0"]["status"] == "FINISHED"

    assert inline.tick(alone).status == "finished"
    run_graph(graph)
    ended = same(pair, tmp_path / "ended")
    assert ended["status"]["reason"] == "all 1 planned rounds are done (4 labels)"
    assert ended["mlflow"]["models"] == {"tiny": [(1, ["champion"])]}
