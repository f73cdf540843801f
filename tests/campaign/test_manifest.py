import json

import pytest

from activelora.campaign.manifest import FileEntry, Manifest, Unit
from activelora.config.steps import STEPS


def manifest(**changes):
    values = {
        "step": "score_pool",
        "round": 3,
        "shard": 2,
        "attempt": "abc",
        "files": {"scores.parquet": FileEntry(key="k", sha256="00ff", num_bytes=10)},
        "inputs": {"train_adapter round 3": "11"},
        "seed": 7,
        "code_version": "1",
        "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T00:01:00Z",
        "metrics": {"seconds": 60.0},
        "details": {"device": "cpu"},
    }
    return Manifest.model_validate({**values, **changes})


def test_units_have_their_place():
    assert Unit("ingest_pool").manifest_key == "pool/manifest.json"
    assert Unit("train_adapter", 3).manifest_key == "rounds/0003/train_adapter/manifest.json"
    assert Unit("score_pool", 3, 12).manifest_key == "rounds/0003/score_pool/shard-00012/manifest.json"
    places = {Unit(step, round_).prefix for step in STEPS for round_ in range(3) if step != "ingest_pool"}
    assert len(places) == 5 * 3


def test_units_read_well():
    assert str(Unit("ingest_pool")) == "ingest_pool"
    assert str(Unit("score_pool", 3, 2)) == "score_pool round 3 shard 2"
    assert str(manifest().unit) == "score_pool round 3 shard 2"


@pytest.mark.parametrize(
    "change",
    [
        {"attempt": "xyz"},
        {"started_at": "x", "finished_at": "y"},
        {"metrics": {}},
        {"details": {}},
        {"code_version": "2"},
        {"files": {"scores.parquet": FileEntry(key="elsewhere", sha256="00ff", num_bytes=10)}},
    ],
)
def test_digest_does_not_depend_on_who_and_when(change):
    assert manifest(**change).digest == manifest().digest


@pytest.mark.parametrize(
    "change",
    [
        {"step": "select_batch"},
        {"round": 4},
        {"shard": None},
        {"seed": 8},
        {"inputs": {}},
        {"inputs": {"train_adapter round 3": "12"}},
        {"files": {}},
        {"files": {"scores.parquet": FileEntry(key="k", sha256="00fe", num_bytes=10)}},
        {"files": {"other.parquet": FileEntry(key="k", sha256="00ff", num_bytes=10)}},
    ],
)
def test_digest_depends_on_what_was_produced(change):
    assert manifest(**change).digest != manifest().digest


def test_numbers_that_are_none_survive_in_plain_json():
    written = manifest(metrics={"ece": float("nan"), "nll": float("inf"), "low": float("-inf")}).model_dump_json()
    json.loads(written, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    read = Manifest.model_validate_json(written)
    assert {name: str(value) for name, value in read.metrics.items()} == {"ece": "nan", "nll": "inf", "low": "-inf"}
