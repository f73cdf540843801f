"""`ingest`: new rows by command, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from activelora.campaign.campaign import Campaign, stop_campaign
from components.ingest_pool import step
from tests.pipelines.conftest import make_config


def put(folder: Path, name: str, begin: int, end: int, words: str = "a cat and a dog") -> None:
    rows = [{"text": f"{words} {n}", "label": ["cat", "dog"][n % 2]} for n in range(begin, end)]
    (folder / "pool").mkdir(exist_ok=True)
    (folder / "pool" / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    put(tmp_path, "first.jsonl", 0, 60)
    data = {"folder": str(tmp_path), "pool": {"path": "pool"}, "holdout_size": 10}
    campaign = Campaign.create(str(tmp_path / "campaign"), make_config(data=data, labeling={"source": "oracle"}))
    step.run(campaign)
    return campaign


def test_new_rows_are_told_and_status_counts_them(campaign, tmp_path, run):
    uri = campaign.store.uri
    put(tmp_path, "second.jsonl", 55, 100, "trains, ships and planes")
    code, out, _ = run("ingest", uri)
    assert code == 0
    assert "ingest_pool refresh 1: 45 new items of 105 rows in 2 files; 60 rows were there already" in out
    assert "round 0 is the first to see it" in out
    assert run("ingest", uri) == (0, "nothing is new: all files are as they were taken in\n", "")
    (tmp_path / "pool" / "second.jsonl").unlink()
    assert run("ingest", uri)[0] == 0
    code, out, _ = run("status", uri)
    assert "pool: 95 items, 45 of them new since the first reading; refreshed 2 times" in out
    assert "pool: 45 items stay that are in no file any more" in out
    found = json.loads(run("status", uri, "--json")[1])["pool"]
    assert (found["num_items"], found["num_new"], found["num_vanished"]) == (95, 45, 45)


def test_a_file_that_cannot_be_taken_is_named_and_the_command_fails(campaign, tmp_path, run):
    (tmp_path / "pool" / "odd.csv").write_text("words\nhello\n", encoding="utf-8")
    put(tmp_path, "second.jsonl", 60, 65)
    code, out, error = run("ingest", campaign.store.uri)
    assert code == 1
    assert "5 new items" in out
    assert (out + error).count("not taken: odd.csv: ") == error.count("not taken: odd.csv: ") == 1
    assert "pool: not taken: odd.csv: " in run("status", campaign.store.uri)[1]


def test_what_cannot_be_refreshed_is_refused(campaign, tmp_path, run):
    fresh = Campaign.create(str(tmp_path / "fresh"), campaign.config)
    code, _, error = run("ingest", fresh.store.uri)
    assert (code, "the pool has not been read yet" in error) == (1, True)
    stop_campaign(campaign, "enough")
    code, _, error = run("ingest", campaign.store.uri)
    assert (code, "the campaign has ended: enough" in error, "extend" in error) == (1, True, True)


@pytest.mark.parametrize("path", ["hf://someone/something", "builtin:aws-requests"])
def test_each_round_needs_files(path):
    from activelora.errors import ProblemsError

    with pytest.raises(ProblemsError, match=r"data\.pool\.refresh"):
        make_config(data={"pool": {"path": path, "refresh": "each_round"}, "holdout_size": 10})
