"""Against real MLflow stores: sqlite in the campaign's folder, and a server on loopback."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot
from activelora.evaluation.gates import champion
from activelora.tracking.mlflow_content import MAX_PARAM_LENGTH, flat_parameters
from activelora.tracking.mlflow_location import prepare_environment, tracking_uri, ui_address
from activelora.tracking.mlflow_names import grouped
from activelora.tracking.mlflow_sync import METRICS_TAG, sync
from activelora.tracking.report import write_report
from pipelines.cli.status_document import mlflow_words
from tests.tracking.conftest import Builder, add_rounds, make_config, write_evaluation, write_training

prepare_environment()
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Run  # noqa: E402


@pytest.fixture(autouse=True)
def _own_tracking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test may see the machine's MLflow settings, or fill the working folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tracked(build_campaign: Builder, empty_database: Path) -> Builder:
    """As build_campaign, with the database in place."""

    def build(*args: object, **changes: object) -> Campaign:
        campaign = build_campaign(*args, **changes)
        shutil.copy(empty_database, Path(campaign.store.uri) / "mlflow.db")
        return campaign

    return build


def client_of(campaign: Campaign) -> MlflowClient:
    uri = tracking_uri(campaign)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def runs_of(campaign: Campaign) -> tuple[Run, list[Run]]:
    """Return the parent and the children, by round."""
    client = client_of(campaign)
    experiment = client.get_experiment_by_name(campaign.config.tracking.experiment)
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert all(run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in children)
    return parent, sorted(children, key=lambda run: int(run.data.tags["activelora.round"]))


def points(campaign: Campaign, run: Run, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client_of(campaign).get_metric_history(run.info.run_id, name)]


def paths(campaign: Campaign, run: Run, folder: str | None = None) -> list[str]:
    return [file.path for file in client_of(campaign).list_artifacts(run.info.run_id, folder)]


def check_whole(campaign: Campaign, num_rounds: int) -> None:
    """Check that MLflow shows every round once, as the manifests tell it."""
    parent, children = runs_of(campaign)
    evaluations = [campaign.require(Unit("evaluate_adapter", round_)) for round_ in range(num_rounds + 1)]
    curve = [(round_, manifest.metrics["accuracy"]) for round_, manifest in enumerate(evaluations)]
    assert sorted(points(campaign, parent, "answers/accuracy")) == curve
    assert [run.data.tags["mlflow.runName"] for run in children] == [f"round {r}" for r in range(num_rounds + 1)]
    for run, point in zip(children, curve, strict=True):
        assert points(campaign, run, "answers/accuracy") == [point]
    assert parent.info.status == children[-1].info.status == "FINISHED"
    assert paths(campaign, children[1], "adapter") == [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
    ]
    versions = client_of(campaign).search_model_versions()
    assert sorted(int(version.version) for version in versions) == list(range(1, num_rounds + 1))


def test_everything_is_there_once_however_often_it_is_synced(build_campaign: Builder) -> None:
    campaign = build_campaign(2)
    write_report(campaign)
    for _ in range(3):
        assert sync(campaign)
    check_whole(campaign, 2)
    parent, children = runs_of(campaign)
    assert parent.data.params["acquisition.strategy"] == "star"
    assert parent.data.params["task.labels"].startswith('["ec2"')
    assert sorted(points(campaign, parent, "labels/num_labels")) == [(0, 0.0), (1, 20.0), (2, 40.0)]
    assert {input_.dataset.name for input_ in parent.inputs.dataset_inputs} == {
        "aws-requests-pool",
        "aws-requests-holdout",
    }
    assert set(paths(campaign, parent)) == {"campaign.json", "learning_curve.png", "report.html"}
    assert set(paths(campaign, children[1], "evaluation")) >= {
        "evaluation/evaluation.json",
        "evaluation/reliability.png",
        "evaluation/confusion_matrix.png",
        "evaluation/risk_coverage.png",
    }
    assert paths(campaign, children[1], "selection") == ["selection/selection.parquet"]
    assert points(campaign, children[1], "seconds/train_adapter") == [(1, 21.5)]
    manifest = campaign.require(Unit("evaluate_adapter", 0))
    (point,) = client_of(campaign).get_metric_history(children[0].info.run_id, "answers/accuracy")
    assert point.timestamp == pytest.approx(time.time() * 1000, abs=600_000)
    assert manifest.finished_at.startswith(time.strftime("%Y-", time.gmtime(point.timestamp / 1000)))
    assert not Path("mlruns").exists()
    assert not Path("mlflow.db").exists()


def test_a_sync_that_was_cut_off_is_completed_without_doubling(tracked: Builder) -> None:
    campaign = tracked(1)
    assert sync(campaign)
    client = client_of(campaign)
    parent, children = runs_of(campaign)
    for tag in ("activelora.params", "activelora.artifacts", "activelora.ingest_pool"):
        client.delete_tag(parent.info.run_id, tag) if tag in parent.data.tags else None
    for step in ("train_adapter", "evaluate_adapter"):
        client.delete_tag(children[1].info.run_id, f"activelora.{step}")
    assert sync(campaign)
    check_whole(campaign, 1)


def test_rounds_are_added_as_they_come(tracked: Builder) -> None:
    campaign = tracked(1, finished=False)
    assert sync(campaign)
    parent, children = runs_of(campaign)
    assert parent.info.status == "RUNNING"
    assert [run.info.status for run in children] == ["FINISHED"]
    write_training(campaign, 1)
    assert sync(campaign)
    assert [run.info.status for run in runs_of(campaign)[1]] == ["FINISHED", "RUNNING"]
    write_evaluation(campaign, 1, skill=2.0)
    assert sync(campaign)
    parent, _ = runs_of(campaign)
    assert sorted(step for step, _ in points(campaign, parent, "answers/accuracy")) == [0, 1]


def test_a_later_round_takes_no_more_calls_than_an_early_one(tracked: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign, calls = tracked(0, finished=False), Counter()
    for name in (name for name in vars(MlflowClient) if not name.startswith("_") and name != "tracking_uri"):
        monkeypatch.setattr(MlflowClient, name, counted(getattr(MlflowClient, name), calls))
    found = []
    for round_ in range(4):
        add_rounds(campaign, round_, round_ + 1)
        calls.clear()
        assert sync(campaign)
        found.append(dict(calls))
    assert found[1]["log_artifact"] > 10
    assert found[1] == found[2] == found[3]
    assert found[3]["search_runs"] == 2  # what is there, and whether another writer has created the new round's run
    assert found[3]["log_batch"] == 2
    calls.clear()
    assert sync(campaign)
    assert not {name for name in calls if name.startswith(("log_", "create_", "set_"))}
    parent, _ = runs_of(campaign)
    assert len(points(campaign, parent, "answers/accuracy")) == 4
    client_of(campaign).set_tag(parent.info.run_id, METRICS_TAG, "4 of something else")
    calls.clear()
    assert sync(campaign)
    assert calls["log_batch"] == 1
    assert len(points(campaign, parent, "answers/accuracy")) == 4


def counted(method: Callable[..., Any], calls: Counter[str]) -> Callable[..., Any]:
    """Return the method, which counts its calls."""

    @wraps(method)
    def call(*args: Any, **keywords: Any) -> Any:
        calls[method.__name__] += 1
        return method(*args, **keywords)

    return call


def test_a_campaign_that_has_not_begun_has_a_run(build_campaign: Builder, tmp_path: Path) -> None:
    campaign = Campaign.create(str(tmp_path / "new"), make_config())
    assert sync(campaign)
    assert runs_of(campaign)[1] == []


def test_two_syncs_at_once_do_not_double_runs_or_versions(tracked: Builder) -> None:
    campaign = tracked(1)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: sync(campaign), range(4)))
    assert sync(campaign)
    check_whole(campaign, 1)


def test_a_doubled_run_is_removed_and_the_older_one_completed(tracked: Builder) -> None:
    campaign = tracked(1)
    assert sync(campaign)
    client = client_of(campaign)
    parent, children = runs_of(campaign)
    for run in (parent, children[1]):  # as if another writer had come first, and was killed
        tags = {**run.data.tags, "activelora.created_ns": "1"}
        tags = {k: v for k, v in tags.items() if k not in {"activelora.train_adapter", "activelora.evaluate_adapter"}}
        for name in ("activelora.params", METRICS_TAG):
            tags.pop(name, None)
        client.create_run(run.info.experiment_id, start_time=run.info.start_time, tags=tags)
    assert sync(campaign)
    new_parent, new_children = runs_of(campaign)
    assert new_parent.info.run_id != parent.info.run_id
    assert new_children[0].info.run_id == children[0].info.run_id
    assert points(campaign, new_parent, "answers/accuracy") == points(campaign, parent, "answers/accuracy")
    assert new_parent.data.params == parent.data.params


def test_champion_moves_by_the_gates_only(tracked: Builder) -> None:
    campaign = tracked(1)
    write_evaluation(campaign, 2, skill=0.0)
    write_training(campaign, 2)
    assert sync(campaign)
    client, name = client_of(campaign), campaign.config.name
    version = client.get_model_version_by_alias(name, "champion")
    assert version.tags["round"] == "1"
    assert version.tags["gates"] == "passed"
    gates = {found.tags["round"]: found.tags["gates"] for found in client.search_model_versions()}
    assert gates == {"1": "passed", "2": "failed"}
    write_training(campaign, 3)
    write_evaluation(campaign, 3, skill=6.0)
    assert sync(campaign)
    assert client.get_model_version_by_alias(name, "champion").tags["round"] == "3"


def test_a_view_that_is_old_already_does_not_take_the_champion_back(tracked: Builder) -> None:
    campaign = tracked(1)
    old = Snapshot(campaign)
    assert champion(old).round == 1
    write_training(campaign, 2)
    write_evaluation(campaign, 2, skill=6.0)
    client, name = client_of(campaign), campaign.config.name
    assert sync(campaign)
    assert client.get_model_version_by_alias(name, "champion").tags["round"] == "2"
    assert sync(old)
    assert client.get_model_version_by_alias(name, "champion").tags["round"] == "2"


def renamed(campaign: Campaign, **tracking: str) -> Campaign:
    """Return a campaign with other names in MLflow, as a file that is not checked may give them."""
    section = campaign.config.tracking.model_copy(update=tracking)
    return Campaign(campaign.store, campaign.config.model_copy(update={"tracking": section}))


@pytest.mark.parametrize("name", ["router/prod's", "a:b", ".."])
def test_a_model_s_name_that_mlflow_refuses_costs_the_registry_alone_and_can_be_mended(
    tracked: Builder, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    campaign = tracked(2)
    assert not sync(renamed(campaign, registered_model=name))
    [warning] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "Nothing is lost" not in warning
    assert f"tracking.registered_model: {name}: MLflow refuses" in warning
    assert "no sync can succeed" in warning
    parent, children = runs_of(campaign)
    assert [run.info.status for run in (parent, *children)] == ["FINISHED"] * 4
    assert len(points(campaign, parent, "answers/accuracy")) == 3
    assert sync(campaign)
    check_whole(campaign, 2)
    assert client_of(campaign).get_model_version_by_alias(campaign.config.name, "champion").tags["round"] == "2"


def test_a_deleted_experiment_is_named_with_both_ways_out(tracked: Builder, caplog: pytest.LogCaptureFixture) -> None:
    campaign = tracked(1)
    client, name = client_of(campaign), campaign.config.tracking.experiment
    experiment = client.get_experiment_by_name(name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
    client.delete_experiment(experiment_id)
    assert not sync(campaign)
    [warning] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert f"the experiment `{name}` was deleted in MLflow" in warning
    assert f"mlflow experiments restore --experiment-id {experiment_id}" in warning
    assert "Nothing is lost" not in warning
    client.restore_experiment(experiment_id)
    assert sync(campaign)
    check_whole(campaign, 1)
    client.delete_experiment(experiment_id)
    assert not sync(campaign)
    assert sync(renamed(campaign, experiment="another one"))


def test_a_person_s_roll_back_is_not_undone(tracked: Builder) -> None:
    campaign = tracked(2, tracking={"registered_model": "the router's model"})
    assert sync(campaign)
    client, name = client_of(campaign), "the router's model"
    assert client.get_model_version_by_alias(name, "champion").tags["round"] == "2"
    client.set_registered_model_alias(name, "champion", "1")
    assert sync(campaign)
    assert client.get_model_version_by_alias(name, "champion").tags["round"] == "1"


def test_off_and_without_a_server(build_campaign: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = build_campaign(0, finished=False, tracking={"enabled": False})
    assert sync(campaign) is False
    assert tracking_uri(campaign) is None
    assert not (Path(campaign.store.uri) / "mlflow.db").exists()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_unreachable_server_warns_once_without_credentials(
    build_campaign: Builder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://anna:s3cret@127.0.0.1:{free_port()}")
    campaign = build_campaign(1)
    with caplog.at_level(logging.WARNING, logger="activelora"):
        assert sync(campaign) is False
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "http://127.0.0.1" in record.getMessage()
    assert "s3cret" not in caplog.text
    assert "could not be written (it does not answer)" in record.getMessage()
    assert "next sync" in record.getMessage()


def test_a_file_that_is_no_database_warns(build_campaign: Builder, caplog: pytest.LogCaptureFixture) -> None:
    campaign = build_campaign(0, finished=False)
    (Path(campaign.store.uri) / "mlflow.db").write_bytes(b"this is not sqlite" * 100)
    assert sync(campaign) is False
    assert "could not be written" in caplog.text


def test_long_and_odd_values_become_parameters() -> None:
    config = make_config(task={"prompt": "{text}" + "x" * 9000, "labels": ["a", "b"], "answer_words": {"a": "=\n✓"}})
    flat = flat_parameters(config)
    assert len(flat["task.prompt"]) == MAX_PARAM_LENGTH
    assert flat["task.prompt"].endswith("… (cut, 9006 characters)")
    assert flat["task.answer_words"] == '{"a": "=\\n✓"}'
    assert flat["adapter.constraint.strength"] == "0.5"


@pytest.fixture
def server_uri(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a server and the command that starts it; what was started ends with the test."""
    port = free_port()
    folder = tmp_path / "server"
    folder.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    return f"http://127.0.0.1:{port}", command


@pytest.mark.slow
def test_a_server_that_comes_later_gets_everything(
    build_campaign: Builder, server_uri: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, command = server_uri
    campaign = build_campaign(1, finished=False, tracking={"uri": uri})
    assert sync(campaign) is False
    add_rounds(campaign, 1, 2)
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path / "server", stdout=log, stderr=log)
        try:
            wait_until_up(uri, process, tmp_path / "server.log")
            monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
            assert sync(campaign) is True
            finish(campaign)
            for _ in range(2):
                assert sync(campaign) is True
            check_whole(campaign, 2)
            assert client_of(campaign).get_model_version_by_alias("aws-requests", "champion").tags["round"] == "2"
        finally:
            process.terminate()
            process.wait(20)


def finish(campaign: Campaign) -> None:
    from activelora.campaign.campaign import stop_campaign

    write_training(campaign, 2)
    write_evaluation(campaign, 2, skill=3.0)
    stop_campaign(campaign, "all planned rounds are done")


def wait_until_up(uri: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=1):  # noqa: S310
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def test_the_address_is_that_of_the_campaign_s_curves(tracked: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = tracked(1)
    assert ui_address(campaign) == "http://127.0.0.1:5000"
    assert sync(campaign)
    parent, _ = runs_of(campaign)
    page = f"#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}/model-metrics"
    assert ui_address(campaign) == f"http://127.0.0.1:5000/{page}"
    assert mlflow_words(campaign) == [
        f"mlflow ui --backend-store-uri sqlite:///{campaign.store.uri}/mlflow.db",
        f"then open http://127.0.0.1:5000/{page}",
    ]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://anna:s3cret@tracking.example")
    assert mlflow_words(campaign) == ["http://tracking.example"], "nothing was written there yet"


def test_metrics_are_grouped() -> None:
    names = {
        ("evaluate_adapter", "accuracy_low"): "intervals/accuracy_low",
        ("evaluate_adapter", "ece_scaled"): "calibration/ece_scaled",
        ("evaluate_adapter", "alone_share_high"): "intervals/alone_share_high",
        ("evaluate_adapter", "pool_accuracy_low"): "intervals/pool_accuracy_low",
        ("evaluate_adapter", "accuracy"): "answers/accuracy",
        ("evaluate_adapter", "alone_share"): "automatic/alone_share",
        ("evaluate_adapter", "explored_accuracy"): "random draws/explored_accuracy",
        ("evaluate_adapter", "pool_accuracy"): "random draws/pool_accuracy",
        ("evaluate_adapter", "num_holdout"): "labels/num_holdout",
        ("await_labels", "num_late"): "labels/num_late",
        ("train_adapter", "final_loss"): "training/final_loss",
        ("score_pool", "seconds"): "seconds/score_pool",
    }
    assert {key: grouped(*key) for key in names} == names
