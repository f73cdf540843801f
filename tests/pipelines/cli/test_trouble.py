"""Troubles of campaigns that have begun: one clear error each, nothing half-written, and a way on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import finished_units
from activelora.campaign.manifest import Unit
from pipelines.cli.main import main
from tests.pipelines.cli.test_malformed import GOOD, LABELS, NOWHERE, SECRET, Wrong, complaint, jsonl, place, write

__all__ = ["place"]
PEOPLE = {"labeling.source": "files", "data.known_labels": "ignore", "acquisition.strategy": "random"}


@pytest.fixture
def file(place, tiny_model_path):
    """The file of a campaign that waits for people."""
    return write(place, tiny_model_path, Wrong((), PEOPLE))


@pytest.fixture(scope="module")
def waiting_campaign(tmp_path_factory, tiny_model_path):
    """A campaign that waits for the labels of round 0, made once."""
    folder = tmp_path_factory.mktemp("waiting")
    made = write(folder, tiny_model_path, Wrong((), PEOPLE))
    assert main(["run", str(made), "--campaign", str(folder / "campaign")]) == 0
    return folder / "campaign"


@pytest.fixture
def waiting(waiting_campaign, place):
    """A copy of it, in the default place."""
    return shutil.copytree(waiting_campaign, place / "campaigns" / "tiny")


def keys(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def settings_of(waiting: Path, place: Path) -> list[str]:
    """Arguments that make the good file's settings those of the campaign, whose data folder was another."""
    stored = json.loads((waiting / "campaign.json").read_text())["config"]
    return ["--data", stored["data"]["folder"]]


def test_other_settings_are_refused_and_named(waiting, file, place, capfd):
    before = keys(waiting)
    err = complaint(capfd, "run", str(file), *settings_of(waiting, place), "--set", "seed=9")
    assert "seed: 0 there, 9 asked" in err
    assert "--campaign" in err
    assert keys(waiting) == before


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    "damage", [lambda _: b"", cut, lambda c: c.replace(b'"seed": 0', b'"seed": 1'), lambda _: b"\xff"]
)
@pytest.mark.parametrize("command", ["run", "tick", "status", "report"])
def test_a_damaged_campaign_json(waiting, file, place, capfd, damage, command):
    path = waiting / "campaign.json"
    path.write_bytes(damage(path.read_bytes()))
    target = [str(file)] if command == "run" else [str(waiting)]
    err = complaint(capfd, command, *target)
    assert "campaigns/tiny/campaign.json" in err
    assert "Restore it" in err


@pytest.mark.parametrize("command", ["tick", "status", "report"])
@pytest.mark.parametrize("damage", [cut, lambda _: b"[]", lambda _: b"\xff\xfe"], ids=["cut", "list", "binary"])
@pytest.mark.parametrize("unit", [Unit("ingest_pool"), Unit("select_batch", 0), Unit("evaluate_adapter", 0)], ids=str)
def test_a_damaged_manifest(waiting, capfd, unit, damage, command):
    path = waiting / unit.manifest_key
    path.write_bytes(damage(path.read_bytes()))
    before = keys(waiting)
    err = complaint(capfd, command, str(waiting))
    assert f"{path}: is not a manifest" in err
    assert "restore it" in err
    assert keys(waiting) == before


DAMAGED = {
    "selection.parquet": ("tick", {Unit("await_labels", 0)}),
    # Answers are read without the texts, which training reads.
    "items-00000.parquet": ("tick", {Unit("await_labels", 0)}),
    "holdout.parquet": ("tick", {Unit("await_labels", 0), Unit("train_adapter", 1)}),
    "evaluation.json": ("report", set()),
}


@pytest.mark.parametrize("damage", [lambda content: content[:-1] + b"x", None], ids=["changed", "gone"])
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_of_a_step(waiting, capfd, name, damage):
    [path] = waiting.rglob(name)
    path.unlink() if damage is None else path.write_bytes(damage(path.read_bytes()))
    answer(waiting, LABELS[0])
    before = finished_units(Campaign.open(str(waiting)))
    command, possible = DAMAGED[name]
    err = complaint(capfd, command, str(waiting))
    assert str(path) in err
    assert "estore it" in err
    assert finished_units(Campaign.open(str(waiting))) - before <= possible


def answer(campaign: Path, label: str, name: str = "a.jsonl", mixed: bytes = b"") -> None:
    [sheet] = campaign.rglob("to_label.jsonl")
    rows = [{**json.loads(row), "label": label} for row in sheet.read_text().splitlines()]
    (campaign / "inbox").mkdir(exist_ok=True)
    (campaign / "inbox" / name).write_bytes(mixed + jsonl(rows))


def test_rubbish_in_the_inbox_is_told_and_the_rest_is_used(waiting, capfd):
    rubbish = {
        "broken.jsonl": b'{"item_id": \n[1]\n"x"\n{}\n',
        "nul.jsonl": b"\x00\x00\x00\n",
        "latin1.csv": "item_id,label\né,ü\n".encode("latin-1"),
        "empty.csv": b"",
        "utf16.csv": "item_id,label\nx,y\n".encode("utf-16"),
        "wrong_columns.csv": b"id;answer\n1;2\n",
        "photo.png": b"\x89PNG\r\n\x1a\n",
        "archive.xlsx": b"PK\x03\x04",
        "huge.jsonl": b'{"item_id": "' + b"a" * (2 << 20) + b'"}\n',
        "strangers.jsonl": b'{"item_id": "q0000", "label": "fire"}\n{"item_id": 7, "label": null}\n',
        ".DS_Store": b"\x00",
    }
    (waiting / "inbox").mkdir(exist_ok=True)
    for name, content in rubbish.items():
        (waiting / "inbox" / name).write_bytes(content)
    (waiting / "inbox" / "folder.csv").mkdir()
    answer(waiting, "fire", "zz.jsonl", mixed=b'{"item_id": broken\n')
    assert main(["tick", str(waiting)]) == 0
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    assert "waiting: 0 of 4 labels of round 1" in out
    assert "answers cannot be used: see" in err
    rejected = (waiting / "labeling/round-0000/rejected.csv").read_text(encoding="utf-8")
    for name in ("broken", "nul", "latin1", "utf16", "wrong_columns", "huge", "strangers", "zz", "photo"):
        assert f"{name}." in rejected
    for name in (".DS_Store", "folder.csv"):
        assert name not in rejected


@pytest.mark.slow  # MLflow makes a database
def test_mlflow_that_is_down_is_a_warning_and_is_caught_up_with_later(place, tiny_model_path, capfd, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    changes = {**PEOPLE, "tracking": {"uri": NOWHERE}}
    file = write(place, tiny_model_path, Wrong((), changes))
    assert main(["run", str(file)]) == 0
    out, err = capfd.readouterr()
    assert "waiting: 0 of 4" in out
    assert f"MLflow at {NOWHERE} could not be written" in err
    assert "Traceback" not in err
    database = f"sqlite:///{place}/later.db"
    assert main(["run", str(file), "--set", f"tracking.uri={database}"]) == 0
    out, err = capfd.readouterr()
    assert "could not be written" not in err
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=database)
    [experiment] = [one for one in client.search_experiments() if one.name == "activelora"]
    assert {run.info.run_name for run in client.search_runs([experiment.experiment_id])} == {"tiny", "round 0"}


def test_a_password_in_the_environment_s_mlflow_uri_is_never_shown(place, tiny_model_path, capfd, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@127.0.0.1:9")
    file = write(place, tiny_model_path, Wrong((), {**PEOPLE, "tracking": {}}))
    assert main(["run", str(file)]) == 0
    out, err = capfd.readouterr()
    assert "MLflow at http://127.0.0.1:9 could not be written" in err
    assert SECRET not in out + err
    assert [path for path in place.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()] == []


def test_a_missing_bucket(s3_server, place, tiny_model_path, capfd, monkeypatch):
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    file = write(place, tiny_model_path, Wrong((), PEOPLE))
    before = keys(place)
    err = complaint(capfd, "run", str(file), "--campaign", "s3://there-is-none/here")
    assert "s3://there-is-none/here" in err
    assert "bucket" in err
    assert keys(place) == before


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system in memory."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_place_that_is_read_only(file, place, capfd):
    with mounted(place / "closed", "ro,size=1m"):
        err = complaint(capfd, "run", str(file), "--campaign", "closed/here")
        assert f"{place}/closed/here/campaign.json: its file system is read-only" in err
        assert keys(place / "closed") == []


@pytest.mark.parametrize("size", ["4k", "24k", "64k"])
def test_a_full_disk(file, place, capfd, size):
    with mounted(place / "small", f"size={size}"):
        err = complaint(capfd, "run", str(file), "--campaign", "small/c")
        assert "the disk is full" in err
        assert "finished steps are kept" in err
        assert [key for key in keys(place / "small") if ".partial" in key] == []
        if size == "4k":
            return
        campaign = Campaign.open("small/c")
        for unit in finished_units(campaign):
            for name in campaign.require(unit).files:
                campaign.read_file(campaign.require(unit), name)
        shutil.copytree("small/c", "large")
    assert main(["run", str(file), "--campaign", "large"]) == 0
    assert "waiting: 0 of 4" in capfd.readouterr().out


def test_bom_and_crlf_are_no_trouble(place, tiny_model_path, capfd):
    odd = b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n")
    file = write(place, tiny_model_path, Wrong((), {}, {"pool.jsonl": odd}))
    assert main(["check", str(file)]) == 0
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert main(["check", str(file)]) == 0


def test_a_holdout_of_one_class_is_a_warning(place, tiny_model_path, capfd):
    rows = jsonl([{"text": f"of one class {n}", "label": "fire"} for n in range(10)])
    changes = {"data.holdout": {"path": "h.jsonl"}}
    file = write(place, tiny_model_path, Wrong((), changes, {"h.jsonl": rows}))
    assert main(["check", str(file)]) == 0
    err = capfd.readouterr().err
    assert "warning:" in err
    assert "fire" in err or "water" in err
