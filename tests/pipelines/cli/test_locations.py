"""Where a campaign lives that nobody gave a place: beside its file, whatever folder a command is called in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from activelora.campaign.campaign import Campaign
from pipelines.cli.locations import beside, default_uri, open_campaign
from tests.pipelines.tiny import tiny_config


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A campaign file in `project`, while the commands are called in `elsewhere`."""
    folder, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    document = tiny_config(folder, tmp_path / "no-model").model_dump(mode="json", exclude_unset=True)
    document["data"]["folder"] = "."
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def config_of(file):
    return tiny_config(file.parent, file.parent.parent / "no-model")


def test_a_campaign_lives_beside_its_file(file, run):
    there = default_uri(config_of(file), file)
    assert Path(there) == file.parent / "campaigns" / "tiny"
    Campaign.create(there, config_of(file))
    code, _, err = run("status", file)
    assert code == 0, err
    assert "warning" not in err
    assert not Path("campaigns").exists()


def test_a_campaign_at_the_former_place_is_found_and_that_is_said(file, run):
    old = Campaign.create("campaigns/tiny", config_of(file))
    code, _, err = run("status", file)
    assert code == 0, err
    assert f"{old.store.uri} is used" in " ".join(err.split())
    assert open_campaign(str(file)).store.uri == old.store.uri
    shutil.move(old.store.uri, file.parent / "campaigns" / "tiny")
    assert open_campaign(str(file)).store.uri == str(file.parent / "campaigns" / "tiny")


def test_a_campaign_beside_the_file_wins(file, capsys):
    Campaign.create("campaigns/tiny", config_of(file))
    new = Campaign.create(str(file.parent / "campaigns/tiny"), config_of(file))
    assert open_campaign(str(file)).store.uri == new.store.uri
    assert "warning" not in capsys.readouterr().err


def test_in_the_file_s_own_folder_both_places_are_one(file, monkeypatch, capsys):
    monkeypatch.chdir(file.parent)
    Campaign.create("campaigns/tiny", config_of(file))
    assert Path(default_uri(config_of(file), Path("tiny.yaml"))).resolve() == file.parent / "campaigns/tiny"
    assert beside(Path("tiny.yaml"), Path("comparisons/tiny"), "campaigns") == Path("comparisons/tiny")
    assert "warning" not in capsys.readouterr().err
