import hashlib

import numpy as np
import pyarrow.parquet as pq
import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.records import GOLD_SCHEMA, ITEM_SCHEMA, LABELED_ITEM_SCHEMA
from activelora.campaign.store import open_store
from activelora.errors import DataError
from activelora.pool import access
from activelora.rules.file import checked_config
from components.ingest_pool.step import run
from tests.pool.conftest import TASK, jsonl, rows


def make_config(folder, source="oracle", **data):
    data = {"folder": str(folder), "pool": {"path": "pool.jsonl"}, "holdout_size": 6, "shard_rows": 10, **data}
    document = {"name": "test", "task": TASK, "data": data, "labeling": {"source": source}}
    return checked_config({**document, "acquisition": {"batch_size": 1}}, where="test.yaml")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pool.jsonl").write_bytes(jsonl(rows(40) + rows(5)))
    (tmp_path / "holdout.jsonl").write_bytes(jsonl(rows(20, 30)))
    return tmp_path


@pytest.fixture
def campaign(folder):
    return Campaign.create(str(folder / "campaign"), make_config(folder, calibration_size=3))


def pool_items(campaign):
    return [item for shard in range(access.num_shards(campaign)) for item in access.shard_items(campaign, shard)]


def test_what_it_writes(campaign):
    manifest = run(campaign)
    assert set(manifest.files) == {
        "holdout.parquet",
        "calibration.parquet",
        *(f"pool/items-0000{n}.parquet" for n in range(4)),
        *(f"gold/labels-0000{n}.parquet" for n in range(4)),
    }
    assert campaign.read_table(manifest, "pool/items-00003.parquet").num_rows == 1
    assert manifest.metrics == {
        "num_pool": 31,
        "num_holdout": 6,
        "num_calibration": 3,
        "num_rows": 45,
        "num_duplicates": 5,
        "num_overlap": 0,
        "num_left_out": 0,
    }
    assert manifest.details["num_shards"] == 4
    assert manifest.details["has_gold"] is True
    assert sum(manifest.details["holdout_labels"].values()) == 6


def test_the_tables_follow_their_schemas(campaign):
    manifest = run(campaign)
    schemas = {
        "holdout.parquet": LABELED_ITEM_SCHEMA,
        "calibration.parquet": LABELED_ITEM_SCHEMA,
        "pool/items-00000.parquet": ITEM_SCHEMA,
        "gold/labels-00000.parquet": GOLD_SCHEMA,
    }
    for name, schema in schemas.items():
        with campaign.store.open(manifest.files[name].key) as file:
            assert pq.read_schema(file).equals(schema), name


def test_no_pool_item_is_in_holdout_or_calibration(campaign, folder):
    given = make_config(folder, holdout={"path": "holdout.jsonl"}, calibration_size=4)
    for other in (campaign, Campaign.create(str(folder / "given"), given)):
        run(other)
        pool = {item.item_id for item in pool_items(other)}
        holdout = {item.item_id for item in access.holdout(other)[0]}
        calibration = {item.item_id for item in access.calibration(other)[0]}
        assert pool
        assert holdout
        assert calibration
        assert not pool & (holdout | calibration)
        assert not holdout & calibration


def test_the_accessors_return_what_the_files_said(campaign):
    run(campaign)
    label_of = {row["text"]: TASK["labels"].index(row["label"]) for row in rows(40)}
    items = pool_items(campaign)
    gold = access.gold_labels(campaign, [item.item_id for item in items])
    assert {item.item_id: label_of[item.fields["text"]] for item in items} == gold
    for accessor, size in ((access.holdout, 6), (access.calibration, 3)):
        held_out, labels_N = accessor(campaign)
        assert labels_N.dtype == np.int64
        assert labels_N.tolist() == [label_of[item.fields["text"]] for item in held_out]
        assert [item.item_id for item in held_out] == sorted(item.item_id for item in held_out)
        assert len(held_out) == size
    wanted = [items[30].item_id, items[0].item_id]
    assert access.find_items(campaign, wanted) == {id_: item for item in items if (id_ := item.item_id) in wanted}
    assert access.find_items(campaign, []) == {}
    with pytest.raises(DataError, match="1 item is not in the pool: nobody"):
        access.find_items(campaign, ["nobody", items[0].item_id])
    with pytest.raises(DataError, match="1 item is not in the pool: nobody"):
        access.gold_labels(campaign, ["nobody"])


def test_a_finished_step_is_not_done_again(campaign, folder):
    manifest = run(campaign)
    (folder / "pool.jsonl").unlink()
    assert run(campaign) == manifest


def test_without_an_oracle_no_gold_label_is_kept(folder):
    campaign = Campaign.create(str(folder / "campaign"), make_config(folder, source="files", known_labels="ignore"))
    manifest = run(campaign)
    assert not [name for name in manifest.files if name.startswith("gold/")]
    with pytest.raises(DataError, match="without gold labels"):
        access.gold_labels(campaign, [])
    assert access.calibration(campaign)[0] == []


def test_the_same_data_give_the_same_digest_wherever_they_lie(folder, s3_uri):
    for name in ("pool.jsonl", "holdout.jsonl"):
        open_store(f"{s3_uri}/data").write(name, (folder / name).read_bytes())
    digests = set()
    for place, uri in ((folder, folder / "campaign"), (f"{s3_uri}/data", f"{s3_uri}/campaign")):
        campaign = Campaign.create(str(uri), make_config(place, holdout={"path": "holdout.jsonl"}))
        digests.add(run(campaign).digest)
    assert len(digests) == 1


def test_warnings_are_logged_and_kept(folder, caplog):
    (folder / "holdout.jsonl").write_bytes(jsonl(rows(1, 60)))
    config = make_config(folder, holdout={"path": "holdout.jsonl"})
    manifest = run(Campaign.create(str(folder / "campaign"), config))
    assert "every holdout item has the same label" in caplog.text
    assert len(manifest.details["warnings"]) == 2


def test_the_demo_source(folder):
    from activelora.pool.demo import SERVICES

    document = {
        "name": "demo",
        "task": {"prompt": "{text}\nTeam:", "labels": tuple(SERVICES.values())},
        "data": {"pool": {"path": "builtin:aws-requests"}},
    }
    manifest = run(Campaign.create(str(folder / "campaign"), checked_config(document, where="demo")))
    assert manifest.metrics["num_pool"] == 680
    assert manifest.details["holdout_labels"] == dict.fromkeys(SERVICES.values(), 25)


def test_the_manifest_names_the_files_that_the_data_came_from(folder):
    campaign = Campaign.create(str(folder / "campaign"), make_config(folder, holdout={"path": "holdout.jsonl"}))
    found = run(campaign).details["sources"]
    for one, name in zip(found, ("pool", "holdout"), strict=True):
        content = (folder / f"{name}.jsonl").read_bytes()
        assert one == {
            "used_for": name,
            "name": str(folder / f"{name}.jsonl"),
            "num_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }


@pytest.mark.parametrize("refresh", ["never", "each_round"])
def test_local_files_are_read_once_for_versions_and_digests(folder, monkeypatch, refresh):
    from activelora.pool.files import SourceFile
    from activelora.pool.source_digests import source_digests

    read, digest = [], SourceFile.digest

    def counted(file):
        read.append(file.name)
        return digest(file)

    monkeypatch.setattr(SourceFile, "digest", counted)
    config = make_config(folder, pool={"path": "pool.jsonl", "refresh": refresh}, holdout={"path": "holdout.jsonl"})
    campaign = Campaign.create(str(folder / "campaign"), config)
    manifest = run(campaign)
    assert sorted(read) == [str(folder / "holdout.jsonl"), str(folder / "pool.jsonl")]
    assert manifest.details["sources"] == source_digests(campaign.config)
