"""A campaign's folder that is moved takes its MLflow along."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from activelora.campaign.campaign import Campaign
from activelora.tracking.mlflow_location import prepare_environment
from activelora.tracking.mlflow_moved import follow_move
from activelora.tracking.mlflow_sync import sync
from activelora.tracking.publish import rewrite_report
from tests.tracking.conftest import Builder, write_evaluation, write_training
from tests.tracking.test_mlflow_sync import _own_tracking as _own_tracking
from tests.tracking.test_mlflow_sync import check_whole, client_of, paths, runs_of
from tests.tracking.test_mlflow_sync import tracked as tracked

prepare_environment()


def places(campaign: Campaign) -> str:
    """Return all that the database holds, as text."""
    with sqlite3.connect(Path(campaign.store.uri) / "mlflow.db") as database:
        return "\n".join(database.iterdump())


def sync_in_a_process(uri: str) -> None:
    program = (
        "import sys\nfrom activelora.campaign.campaign import Campaign\n"
        "from activelora.tracking.mlflow_sync import sync\n"
        "sys.exit(not sync(Campaign.open(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", program, uri], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def moved(tracked: Builder, tmp_path: Path) -> tuple[Campaign, str]:
    """A campaign whose folder was moved after it was written to MLflow, and where it was."""
    campaign = tracked(1, finished=False)
    assert sync(campaign)
    old = campaign.store.uri
    shutil.move(old, tmp_path / "else where" / "campaign")
    return Campaign.open(str(tmp_path / "else where" / "campaign")), old


@pytest.mark.slow
def test_a_moved_campaign_goes_on_in_its_new_place(moved: tuple[Campaign, str]) -> None:
    campaign, old = moved
    write_training(campaign, 1)
    write_evaluation(campaign, 1, skill=2.0)
    sync_in_a_process(campaign.store.uri)  # MLflow remembers a run's place as long as a process lives
    assert not Path(old).exists(), "nothing is written at the old place"
    parent, children = runs_of(campaign)
    assert parent.data.tags["activelora.uri"] == campaign.store.uri
    here = (Path(campaign.store.uri) / "mlflow-artifacts").as_uri()
    assert all(str(run.info.artifact_uri).startswith(here) for run in (parent, *children))
    assert paths(campaign, children[0], "evaluation")
    assert paths(campaign, children[1], "adapter")
    (version,) = client_of(campaign).search_model_versions()
    assert str(version.source).startswith(here)
    assert f"{old}/mlflow-artifacts" not in places(campaign)


def test_what_was_finished_before_is_found_after_the_next_report(tracked: Builder, tmp_path: Path) -> None:
    campaign = tracked(1)
    assert sync(campaign)
    old = campaign.store.uri
    shutil.copytree(old, tmp_path / "copy")
    copy = Campaign.open(str(tmp_path / "copy"))
    rewrite_report(copy)
    shutil.rmtree(old)
    check_whole(copy, 1)
    assert f"{old}/mlflow-artifacts" not in places(copy)
    assert not follow_move(copy), "there is nothing left to correct"


def test_a_file_that_is_no_database_is_left_alone(tracked: Builder, caplog: pytest.LogCaptureFixture) -> None:
    campaign = tracked(0, finished=False)
    (Path(campaign.store.uri) / "mlflow.db").write_bytes(b"this is not sqlite" * 100)
    assert not follow_move(campaign)
    assert "are not looked at" in caplog.text
