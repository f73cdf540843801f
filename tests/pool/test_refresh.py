"""Pools that grow: what comes later is taken in once, whatever its order, and nothing that is there is touched."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.refreshes import pool_now, pool_of
from activelora.campaign.snapshot import Snapshot
from activelora.campaign.store import open_store
from activelora.errors import ConfigError, StoreError
from activelora.labeling.deletion import delete_item
from activelora.pool import access
from activelora.rules.file import checked_config
from components.ingest_pool import step
from tests.pool.conftest import TASK, jsonl
from tests.pool.conftest import rows as numbered_rows


def make_config(folder: Path | str, source: str = "oracle", **data: object) -> Any:
    pool = {"path": "pool", "refresh": "each_round", **data.pop("pool", {})}
    section = {"folder": str(folder), "pool": pool, "holdout_size": 6, "shard_rows": 10, **data}
    document = {"name": "test", "task": TASK, "data": section, "labeling": {"source": source}}
    return checked_config({**document, "acquisition": {"batch_size": 1}}, where="test.yaml")


def rows(end: int, start: int = 0) -> list[dict[str, Any]]:
    return numbered_rows(end - start, start)


def put(folder: Path, **files: Iterable[Mapping[str, Any]]) -> None:
    (folder / "pool").mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / "pool" / f"{name}.jsonl").write_bytes(jsonl(list(content)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(tmp_path, first=rows(40))
    return tmp_path


@pytest.fixture
def campaign(folder: Path) -> Campaign:
    campaign = Campaign.create(str(folder / "campaign"), make_config(folder))
    step.run(campaign)
    return campaign


def refresh(campaign: Campaign, number: int = 1) -> Manifest:
    return step.run(Campaign.open(campaign.store.uri), number=number)


def texts(campaign: Campaign) -> list[str]:
    shards = [access.shard_items(campaign, shard) for shard in range(access.num_shards(campaign))]
    return [item.fields["text"] for items in shards for item in items]


def counts(manifest: Manifest) -> dict[str, int]:
    names = ("num_new", "num_rows", "num_duplicates", "num_left_out", "num_vanished", "num_files")
    return {name.removeprefix("num_"): int(manifest.metrics[name]) for name in names}


def test_new_rows_are_new_shards_and_the_old_ones_stay(campaign, folder):
    before = {key: campaign.store.read(key) for key in campaign.store.list("pool/")}
    put(folder, second=rows(325, 25))
    manifest = refresh(campaign)
    assert counts(manifest) == {
        "new": 285, "rows": 300, "duplicates": 15, "left_out": 0, "vanished": 0, "files": 1
    }  # fmt: skip
    assert manifest.unit == Unit("ingest_pool", 1)
    assert (manifest.details["first_shard"], manifest.details["num_shards"]) == (4, 29)
    assert access.num_shards(campaign) == 33
    assert {key: campaign.store.read(key) for key in before} == before
    assert campaign.store.exists("pool/refresh-0001/manifest.json")
    expected = {row["text"] for row in rows(325)} - {item.fields["text"] for item in access.holdout(campaign)[0]}
    assert sorted(texts(campaign)) == sorted(expected)
    label_of = {row["text"]: TASK["labels"].index(row["label"]) for row in rows(325)}
    items = [item for shard in range(33) for item in access.shard_items(campaign, shard)]
    gold = access.gold_labels(campaign, [item.item_id for item in items])
    assert gold == {item.item_id: label_of[item.fields["text"]] for item in items}


def test_a_look_that_finds_nothing_is_a_refresh_too_and_reads_no_rows(campaign):
    assert counts(refresh(campaign)) == dict.fromkeys(("new", "rows", "duplicates", "left_out", "vanished", "files"), 0)
    assert refresh(campaign, 2).details["num_shards"] == 0
    with pytest.raises(StoreError, match="refresh 3 is not done"):
        refresh(campaign, 4)


@pytest.mark.parametrize("order", list(itertools.permutations("abc")), ids="".join)
def test_the_order_in_which_files_arrive_within_one_refresh_plays_no_part(tmp_path, order):
    parts = {"a": rows(70, 40), "b": rows(90, 60), "c": [*rows(45), *reversed(rows(95, 80))]}
    put(tmp_path, first=rows(40))
    campaign = Campaign.create(str(tmp_path / "campaign"), make_config(tmp_path))
    step.run(campaign)
    for moment, name in enumerate(order):
        put(tmp_path, **{name: parts[name]})
        os.utime(tmp_path / "pool" / f"{name}.jsonl", (moment, moment))
    found = refresh(campaign)
    ids = [item.item_id for shard in range(4, 10) for item in access.shard_items(campaign, shard)]
    assert ids == sorted(ids)
    assert len(ids) == 55
    assert {name: entry.sha256 for name, entry in found.files.items()} == _reference(tmp_path.parent, parts)


def _reference(folder: Path, parts: dict[str, Any]) -> dict[str, str]:
    """What one file that holds all rows in another order gives."""
    there = folder / "reference"
    there.mkdir(exist_ok=True)
    put(there, first=rows(40))
    campaign = Campaign.create(str(there / f"campaign-{len(list(there.iterdir()))}"), make_config(there))
    step.run(campaign)
    put(there, all=[*parts["c"], *parts["b"], *parts["a"]])
    found = refresh(campaign)
    (there / "pool" / "all.jsonl").unlink()
    return {name: entry.sha256 for name, entry in found.files.items()}


def test_a_changed_file_gives_its_new_rows_alone_and_vanished_rows_stay_and_are_counted(campaign, folder):
    put(folder, first=[*rows(50, 45), *rows(30)])
    manifest = refresh(campaign)
    held_out = {item.fields["text"] for item in access.holdout(campaign)[0]}
    gone = {row["text"] for row in rows(40, 30)} - held_out
    assert counts(manifest) == {
        "new": 5, "rows": 35, "duplicates": 30, "left_out": 0, "vanished": len(gone), "files": 1
    }  # fmt: skip
    assert gone <= set(texts(campaign))
    assert refresh(campaign, 2).metrics["num_vanished"] == len(gone)
    put(folder, back=rows(35, 30))
    back = {row["text"] for row in rows(35, 30)} - held_out
    assert counts(refresh(campaign, 3))["vanished"] == len(gone - back)


def test_a_vanished_file_s_items_stay_and_so_does_a_pool_whose_folder_is_gone(campaign, folder):
    put(folder, second=rows(60, 40))
    refresh(campaign)
    (folder / "pool" / "second.jsonl").unlink()
    manifest = refresh(campaign, 2)
    assert manifest.details["gone"] == ["second.jsonl"]
    assert counts(manifest)["vanished"] == 20
    (folder / "pool" / "first.jsonl").unlink()
    (folder / "pool").rmdir()
    manifest = refresh(campaign, 3)
    assert "no such file or folder" in manifest.details["warnings"][0]
    assert counts(manifest)["vanished"] == len(texts(campaign)) == 54


def test_duplicates_of_holdout_calibration_and_deleted_items_do_not_come_in(folder):
    campaign = Campaign.create(str(folder / "campaign"), make_config(folder, calibration_size=3))
    step.run(campaign)
    victim = access.shard_items(campaign, 0)[0]
    delete_item(campaign, victim.item_id, "asked to")
    put(folder, again=rows(40))
    assert counts(refresh(campaign))["new"] == 0
    assert victim.fields["text"] not in texts(campaign)
    put(folder, more=rows(45))
    refresh(campaign, 2)
    late = access.shard_items(campaign, access.num_shards(campaign) - 1)[0]
    delete_item(campaign, late.item_id, "asked to")
    assert late.fields["text"] not in texts(campaign)
    put(folder, third=rows(47))
    assert counts(refresh(campaign, 3)) == {
        "new": 2, "rows": 47, "duplicates": 45, "left_out": 0, "vanished": 0, "files": 1
    }  # fmt: skip


def test_what_one_of_two_racing_tickers_did_not_take_the_next_refresh_takes(campaign, folder, monkeypatch):
    put(folder, second=rows(50, 40))
    slow = Campaign.open(campaign.store.uri)
    create, racing = type(slow.store).create, []

    def late(store: Any, key: str, content: bytes) -> bool:
        if key.endswith("refresh-0001/manifest.json") and not racing:
            racing.append(key)
            put(folder, third=rows(60, 50))
            racing.append(step.run(Campaign.open(campaign.store.uri), number=1))
        return create(store, key, content)

    monkeypatch.setattr(type(slow.store), "create", late)
    winner = step.run(slow, number=1)
    assert winner == racing[1]
    assert set(winner.details["files"]) == {"second.jsonl", "third.jsonl"}
    attempts = {key.split("/")[2] for key in campaign.store.list("pool/refresh-0001/") if "attempt-" in key}
    assert attempts == {f"attempt-{winner.attempt}"}
    put(folder, fourth=rows(70, 60))
    racing.clear()

    def early(store: Any, key: str, content: bytes) -> bool:
        if key.endswith("refresh-0002/manifest.json") and not racing:
            racing.append(key)
            (folder / "pool" / "fourth.jsonl").rename(folder / "hidden")
            put(folder, fifth=rows(80, 70))
            step.run(Campaign.open(campaign.store.uri), number=2)
            (folder / "hidden").rename(folder / "pool" / "fourth.jsonl")
        return create(store, key, content)

    monkeypatch.setattr(type(slow.store), "create", early)
    assert set(refresh(campaign, 2).details["files"]) == {"fifth.jsonl"}
    assert set(refresh(campaign, 3).details["files"]) == {"fourth.jsonl"}
    assert len(texts(campaign)) == len(set(texts(campaign))) == 74


def test_killed_between_its_writes_a_refresh_is_done_again(campaign, folder, monkeypatch):
    put(folder, second=rows(65, 40))
    write, expected = type(campaign.store).write, None
    for survives in range(6):
        written = []

        def dies(store: Any, key: str, content: bytes, written: list[str] = written, last: int = survives) -> None:
            if len(written) == last:
                raise KeyboardInterrupt
            written.append(key)
            write(store, key, content)

        monkeypatch.setattr(type(campaign.store), "write", dies)
        with pytest.raises(KeyboardInterrupt):
            refresh(campaign)
        monkeypatch.setattr(type(campaign.store), "write", write)
        assert Snapshot(campaign).refreshes == frozenset()
        assert len(texts(campaign)) == 34
    expected = refresh(campaign)
    assert counts(expected)["new"] == 25
    assert len(texts(campaign)) == 59


def test_a_file_that_cannot_be_read_waits_and_the_others_are_taken(campaign, folder):
    put(folder, good=rows(50, 40), bad=[{"text": "no label", "label": "none of them"}])
    (folder / "pool" / "odd.csv").write_text("words\nhello\n", encoding="utf-8")
    manifest = refresh(campaign)
    assert set(manifest.details["files"]) == {"good.jsonl"}
    bad, odd = manifest.details["problems"]
    assert bad.startswith("bad.jsonl: ")
    assert "none of them" in bad
    assert odd.startswith("odd.csv: ")
    assert "there is no column" in odd
    put(folder, bad=rows(52, 50))
    manifest = refresh(campaign, 2)
    assert set(manifest.details["files"]) == {"bad.jsonl"}
    assert counts(manifest)["new"] == 2


@pytest.mark.parametrize("contradictions", ["refuse", "drop"])
def test_new_files_that_contradict_each_other(folder, contradictions):
    campaign = Campaign.create(str(folder / "campaign"), make_config(folder, contradictions=contradictions))
    step.run(campaign)
    one, other = rows(42, 40), rows(43, 41)
    other[0]["label"] = next(label for label in TASK["labels"] if label != other[0]["label"])
    put(folder, one=one, other=other)
    manifest = refresh(campaign)
    if contradictions == "refuse":
        assert counts(manifest)["new"] == 2
        assert "labelled otherwise" in manifest.details["problems"][0]
    else:
        assert counts(manifest)["new"] == 2
        assert other[0]["text"] not in texts(campaign)


def test_the_limit_is_of_the_whole_pool(folder):
    campaign = Campaign.create(str(folder / "campaign"), make_config(folder, pool={"limit": 36}))
    step.run(campaign)
    size = len(texts(campaign))
    put(folder, second=rows(60, 40))
    manifest = refresh(campaign)
    assert counts(manifest)["new"] == 36 - size
    assert counts(manifest)["left_out"] == 20 - (36 - size)


def test_a_pool_that_never_looks_takes_in_by_command_what_it_had_not_noted(folder):
    campaign = Campaign.create(str(folder / "campaign"), make_config(folder, pool={"refresh": "never"}))
    assert "files" not in step.run(campaign).details
    put(folder, second=rows(50, 40))
    manifest = refresh(campaign)
    assert counts(manifest) == {
        "new": 10, "rows": 50, "duplicates": 40, "left_out": 0, "vanished": 0, "files": 2
    }  # fmt: skip
    put(folder, third=rows(55, 50))
    assert counts(refresh(campaign, 2))["rows"] == 5


def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_refresh(campaign, folder, monkeypatch):
    from activelora.pool import refresh as module
    from activelora.pool.newcomers import survey_files

    put(folder, second=rows(50, 40), moving=rows(60, 50))
    survey, times = survey_files, []

    def changes(*arguments: Any) -> Any:
        found = survey(*arguments)
        if not times:
            times.append(1)
            put(folder, moving=rows(62, 50))
        return found

    monkeypatch.setattr(module, "survey_files", changes)
    assert set(refresh(campaign).details["files"]) == {"second.jsonl"}
    assert set(refresh(campaign, 2).details["files"]) == {"moving.jsonl"}
    assert len(texts(campaign)) == 56


def test_data_that_moved_elsewhere_are_no_new_files(campaign, folder):
    (folder / "pool").rename(folder / "elsewhere")
    (folder / "elsewhere" / "pool").mkdir()
    (folder / "elsewhere" / "first.jsonl").rename(folder / "elsewhere" / "pool" / "first.jsonl")
    config = make_config(folder / "elsewhere")
    moved = Campaign(campaign.store, config)
    assert counts(step.run(moved, number=1))["rows"] == 0


def test_files_in_s3_are_told_by_their_versions_without_reading_them(s3_uri, folder):
    store = open_store(s3_uri)
    store.write("data/pool/first.jsonl", jsonl(rows(40)))
    campaign = Campaign.create(f"{s3_uri}/campaign", make_config(f"{s3_uri}/data"))
    step.run(campaign)
    assert counts(refresh(campaign))["rows"] == 0
    store.write("data/pool/second.jsonl", jsonl(rows(45, 38)))
    manifest = refresh(campaign, 2)
    assert counts(manifest) == {
        "new": 5, "rows": 7, "duplicates": 2, "left_out": 0, "vanished": 0, "files": 1
    }  # fmt: skip
    assert set(manifest.details["files"]) == {"second.jsonl"}
    store.delete("data/pool/second.jsonl")
    assert counts(refresh(campaign, 3))["vanished"] == 5


def test_a_round_sees_the_pool_as_of_its_evaluation(campaign, folder):
    put(folder, second=rows(50, 40))
    refresh(campaign)
    assert pool_of(campaign, 0).num_shards == pool_now(campaign).num_shards == 5
    campaign.attempt(Unit("evaluate_adapter", 0)).commit({}, {"num_refreshes": 1})
    put(folder, third=rows(60, 50))
    refresh(campaign, 2)
    assert (pool_of(campaign, 0).num_shards, pool_now(campaign).num_shards) == (5, 6)
    assert (pool_of(campaign, 0).num_items, pool_now(campaign).num_items) == (44, 54)
    with pytest.raises(StoreError, match="no shard 5"):
        pool_of(campaign, 0).manifest_of(5)


def test_a_source_without_files_is_refused(folder):
    config = make_config(folder, pool={"path": "builtin:aws-requests", "refresh": "never"})
    campaign = Campaign.create(str(folder / "campaign"), config)
    campaign.attempt(Unit("ingest_pool")).commit({"num_pool": 1}, {"num_shards": 1, "has_gold": False})
    with pytest.raises(ConfigError, match="no files that could be new"):
        step.run(campaign, number=1)


def test_manifests_and_inputs_are_the_same_for_the_same_files(tmp_path):
    found = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        put(folder, first=rows(40))
        campaign = Campaign.create(str(folder / "campaign"), make_config(folder))
        step.run(campaign)
        put(folder, second=rows(50, 40))
        found.append(refresh(campaign))
    assert found[0].digest == found[1].digest
    assert json.dumps(found[0].details) == json.dumps(found[1].details)
    assert set(found[0].inputs) == {"ingest_pool"}


@pytest.mark.parametrize("known", ["train", "ignore", "holdout"])
def test_labelled_rows_that_come_later_are_known_labels_too(folder, known):
    put(folder, first=[*rows(20), *({**row, "label": None} for row in rows(40, 20))])
    holdout = {"holdout": {"path": "holdout.jsonl"}} if known != "holdout" else {}
    (folder / "holdout.jsonl").write_bytes(jsonl(rows(110, 100)))
    config = make_config(folder, source="files", known_labels=known, **holdout)
    campaign = Campaign.create(str(folder / "campaign"), config)
    step.run(campaign)
    put(folder, second=[*rows(43, 40), *({**row, "label": None} for row in rows(45, 43)), *rows(30)])
    manifest = refresh(campaign)
    assert counts(manifest)["new"] == 5
    assert not any(name.startswith("gold/labels") for name in manifest.files)
    campaign.attempt(Unit("evaluate_adapter", 0)).commit()
    campaign.attempt(Unit("evaluate_adapter", 1)).commit({}, {"num_refreshes": 1})
    found = access.arrived_labels(campaign, 1).labels
    assert not access.arrived_labels(campaign, 0)
    if known != "train":
        assert not found
        return
    items = access.find_items(campaign, list(found))
    assert {items[item_id].fields["text"]: TASK["labels"][label] for item_id, label in found.items()} == {
        row["text"]: row["label"] for row in rows(43, 40)
    }
    delete_item(campaign, min(found), "asked to")
    assert len(access.arrived_labels(campaign, 1)) == 2


def old(end: int, start: int, labelled: int, label: str = "sport") -> list[dict[str, Any]]:
    """Rows of which those below a number have a known label in a column of their own."""
    return [{**row, "old": label if start + n < labelled else ""} for n, row in enumerate(rows(end, start))]


def with_known_column(folder: Path, **pool: object) -> Campaign:
    put(folder, first=old(40, 0, 4))
    known = {"known_labels": "train", "known_labels_column": "old", "contradictions": "drop"}
    campaign = Campaign.create(str(folder / "campaign"), make_config(folder, pool=pool, **known))
    step.run(campaign)
    return campaign


def test_known_labels_of_a_column_of_their_own_are_read_in_later_files_too(folder):
    campaign = with_known_column(folder)
    put(folder, second=old(50, 40, 43), third=[*old(60, 50, 52), *old(41, 40, 41, "politics")], fourth=rows(70, 60))
    manifest = refresh(campaign)
    assert (counts(manifest)["new"], manifest.metrics["num_known"]) == (30, 4)
    found = access.known_labels(campaign).labels, access._known_in(Snapshot(campaign), manifest).labels
    assert set(found[1].values()) == {TASK["labels"].index("sport")}
    texts = {item.fields["text"] for item in access.find_items(campaign, list(found[1])).values()}
    assert texts == {row["text"] for row in [*rows(43, 41), *rows(52, 50)]}, "of the contradicted one nothing is known"


def test_the_limit_takes_known_labels_of_later_files_first_and_says_what_it_leaves_out(folder):
    campaign = with_known_column(folder, limit=37)
    put(folder, second=old(50, 40, 48))
    manifest = refresh(campaign)
    assert (counts(manifest)["new"], manifest.metrics["num_known"]) == (6, 6)
    assert "data.pool.limit: 37 leaves out 2 of 8 new labelled items; raise it" in manifest.details["warnings"]
