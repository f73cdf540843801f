"""Publishing: what is up to date is left alone, and whatever was missed is made up for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from activelora.campaign.campaign import Campaign, stop_campaign
from activelora.campaign.tombstones import mark_item
from activelora.config import TrackingConfig
from activelora.tracking.mlflow_location import prepare_environment, tracking_uri
from activelora.tracking.publish import PUBLISHED_KEY, publish, publish_if_changed
from activelora.tracking.report import REPORT_KEY
from tests.tracking.conftest import Builder, write_training

prepare_environment()
from mlflow import MlflowClient  # noqa: E402


@pytest.fixture(autouse=True)
def _own_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def publishes(campaign: Campaign) -> bool:
    """Call the function, and tell whether it wrote the report: anew, whatever it says."""
    campaign.store.write(REPORT_KEY, b"as before")
    publish_if_changed(campaign)
    return campaign.store.read(REPORT_KEY) != b"as before"


def test_what_has_not_changed_is_not_written_again(build_campaign: Builder) -> None:
    campaign = build_campaign(1, finished=False, tracking__enabled=False)
    assert publishes(campaign)
    assert not publishes(campaign)
    assert not publishes(Campaign.open(campaign.store.uri))


@pytest.mark.parametrize("change", ["a step", "the end", "a deletion", "the note is gone", "the note is damaged"])
def test_every_change_is_written(build_campaign: Builder, change: str) -> None:
    campaign = build_campaign(1, finished=False, tracking__enabled=False)
    publish(campaign)
    if change == "a step":
        write_training(campaign, 1)
    elif change == "the end":
        stop_campaign(campaign, "enough")
    elif change == "a deletion":
        mark_item(campaign.store, "0123456789abcdef", {"reason": "asked for"})
    elif change == "the note is gone":
        campaign.store.delete(PUBLISHED_KEY)
    else:
        campaign.store.write(PUBLISHED_KEY, b"{")
    assert publishes(campaign)
    assert not publishes(campaign)


def test_mlflow_has_the_report_that_the_campaign_has(
    build_campaign: Builder, empty_database: Path, tmp_path: Path
) -> None:
    """Of a state that MLflow has not seen: the report is written first."""
    campaign = build_campaign(1, finished=False)
    shutil.copy(empty_database, Path(campaign.store.uri) / "mlflow.db")
    for end in (None, "enough"):
        if end:
            stop_campaign(campaign, end)
        publish_if_changed(campaign)
        client = MlflowClient(tracking_uri=tracking_uri(campaign))
        experiment = client.get_experiment_by_name(campaign.config.tracking.experiment)
        runs = client.search_runs([experiment.experiment_id])
        (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        copy = Path(client.download_artifacts(parent.info.run_id, REPORT_KEY, str(tmp_path)))
        assert copy.read_bytes() == campaign.store.read(REPORT_KEY)
        assert (b"The campaign ended: enough" in copy.read_bytes()) == (end is not None)


def test_a_server_that_was_down_and_another_one_are_made_up_for(
    build_campaign: Builder, empty_database: Path, tmp_path: Path
) -> None:
    campaign = build_campaign(1, finished=False, tracking__uri="http://127.0.0.1:9")
    assert publishes(campaign)
    assert publishes(campaign)  # it is down still
    for name in ("one.db", "other.db"):
        shutil.copy(empty_database, tmp_path / name)
        tracking = TrackingConfig(uri=f"sqlite:///{tmp_path / name}")
        moved = Campaign(campaign.store, campaign.config.model_copy(update={"tracking": tracking}))
        assert publishes(moved)
        assert not publishes(moved)
        client = MlflowClient(tracking_uri=tracking.uri)
        assert client.get_experiment_by_name(tracking.experiment) is not None


def test_the_note_keeps_no_login(build_campaign: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite://user:hunter2@/{tmp_path / 'one.db'}")
    campaign = build_campaign(1, finished=False)
    publish(campaign)
    assert b"hunter2" not in campaign.store.read(PUBLISHED_KEY)
