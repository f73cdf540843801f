"""Campaigns that code of earlier commits has begun: today's opens them, goes on to their end and tells what they are.

They lie in ``older/``, and ``older/README.md`` says how each was made.
"""

from __future__ import annotations

import csv
import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from activelora.campaign.campaign import Campaign, stop_reason
from activelora.campaign.history import SCORED_KEY
from activelora.campaign.ledger import finished_units, next_plan
from activelora.campaign.manifest import Unit
from activelora.config import TrackingConfig
from activelora.tracking.publish import publish
from pipelines.cli.main import main
from pipelines.cli.status_document import status_document
from pipelines.engines.inline import run_campaign
from tests.campaign.older.make import KINDS, SCENES, answer_round, model_server, write_pool
from tests.counting_store import counted_calls

OLDER = Path(__file__).parent / "older"
ANNOTATORS = {"reasons-1122-0434": ("ann", "bob")}


every_scene = pytest.mark.parametrize("name", SCENES)


@pytest.fixture
def place(tmp_path, monkeypatch, tiny_model_path):
    """The working folder that a campaign is opened in, with the model that it names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tiny-model").symlink_to(tiny_model_path)
    return tmp_path


def copied(name, place):
    shutil.copytree(OLDER / name, place / "campaign")
    return "campaign"


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run_to_the_end(campaign, labels, annotators):
    """Tick on, and answer each round that waits, once."""
    answered = set()
    while (result := run_campaign(campaign)).status == "waiting":
        assert result.round not in answered, result.reason
        answer_round(Path("campaign"), result.round, labels, annotators)
        answered.add(result.round)
    return result


@every_scene
def test_an_older_campaign_opens_and_tells_how_far_it_is(name, place, capsys):
    uri = copied(name, place)
    before = files_of(place / "campaign")
    campaign = Campaign.open(uri)
    assert campaign.config.name == name
    step, round_, shard = SCENES[name].stop
    plan = next_plan(campaign)
    assert (plan.status, plan.round) == ("work", round_)
    assert Unit(step, round_, shard) in plan.units
    for unit in finished_units(campaign):
        manifest = campaign.require(unit)
        assert all(campaign.read_file(manifest, file) for file in manifest.files)
    assert main(["status", uri, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["name"], document["round"]) == (name, round_)
    assert document["status"] == ("waiting" if step == "await_labels" else "running")
    assert files_of(place / "campaign") == before, "looking changes nothing"


@pytest.mark.parametrize("damage", [None, b"{", b"[]", b'{"a": {"seconds": "long"}}'])
def test_what_scoring_took_in_older_rounds_is_noted_with_the_report(damage, place):
    uri = copied("files-1130-2125", place)
    manifests = {str(path) for path in (place / "campaign").glob("rounds/*/score_pool/*/manifest.json")}
    assert len(manifests) == 2
    with counted_calls() as calls:
        wanted = status_document(Campaign.open(uri))
    assert manifests <= calls.counts("read").keys()

    campaign = Campaign.open(uri)
    untracked = campaign.config.model_copy(update={"tracking": TrackingConfig(enabled=False)})
    publish(Campaign(campaign.store, untracked))
    note = campaign.store.read(SCORED_KEY)
    if damage:
        campaign.store.write(SCORED_KEY, damage)
    with counted_calls() as calls:
        assert status_document(Campaign.open(uri)) == wanted
    assert calls.counts("read")[f"{campaign.store.uri}/{SCORED_KEY}"] == 1
    assert bool(manifests & calls.counts("read").keys()) == (damage is not None)
    with counted_calls() as calls:
        publish(Campaign(campaign.store, untracked))
    assert calls.counts("write")[f"{campaign.store.uri}/{SCORED_KEY}"] == (damage is not None)
    assert campaign.store.read(SCORED_KEY) == note


@every_scene
def test_an_older_campaign_goes_on_to_its_end_and_its_labels_are_exported(name, place, capsys):
    uri = copied(name, place)
    before = files_of(place / "campaign")
    labels = write_pool(place)
    with model_server(num_passed=0) if name.startswith("llm") else nullcontext():
        result = run_to_the_end(Campaign.open(uri), labels, ANNOTATORS.get(name, ("ann",)))
    assert result.status == "finished"
    campaign = Campaign.open(uri)
    asked = [campaign.require(Unit("select_batch", round_)).metrics["num_selected"] for round_ in range(2)]
    num_labeled = [campaign.require(Unit("await_labels", round_)).metrics["num_labeled"] for round_ in range(2)]
    assert asked == [4, 4]
    passed_over = 0 if campaign.config.labeling.source == "oracle" else 1
    assert num_labeled == [4 - passed_over] * 2
    assert stop_reason(campaign) == f"all 2 planned rounds are done ({8 - 2 * passed_over} labels)"
    assert campaign.require(Unit("train_adapter", 2)).metrics["num_labels"] == 8 - 2 * passed_over
    after = files_of(place / "campaign")
    assert {path: after[path] for path in before} == before, "what was written stays as it is"

    assert main(["status", uri, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == "finished"
    assert main(["labels", "export", uri, "--out", "labels.csv"]) == 0
    with Path("labels.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len({row["item_id"] for row in rows}) == len(rows) == 8 - 2 * passed_over
    if name.startswith("llm"):
        batches = [campaign.require(Unit("select_batch", round_)) for round_ in range(2)]
        asked_for = [campaign.read_table(batch, "selection.parquet")["item_id"].to_pylist() for batch in batches]
        returned = {*asked_for[0]} & {*asked_for[1]}
        assert len(returned) == 1, "what the model passed over went back to the pool"
        assert {row["label"] for row in rows} == {"human"}
    else:
        assert {row["text"]: row["label"] for row in rows} == {row["text"]: labels[row["text"]] for row in rows}
    assert main(["report", uri]) == 0


@pytest.mark.parametrize("name", ["files-1121-1219", "files-1130-2125"])
def test_people_s_numbers_mean_what_they_meant_when_an_older_campaign_began(name, place, capsys):
    uri = copied(name, place)
    labels = write_pool(place)
    places = {text: str(sorted(KINDS).index(label)) for text, label in labels.items()}
    assert run_to_the_end(Campaign.open(uri), places, ("ann",)).status == "finished"
    assert main(["labels", "export", uri, "--out", "labels.csv"]) == 0
    with Path("labels.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert {row["text"]: row["label"] for row in rows} == {row["text"]: labels[row["text"]] for row in rows}


def test_no_file_of_them_holds_a_place_of_the_machine_that_made_it():
    for name in SCENES:
        document = json.loads((OLDER / name / "campaign.json").read_text())
        assert (document["config"]["model"]["base"], document["config"]["data"]["folder"]) == ("tiny-model", ".")
