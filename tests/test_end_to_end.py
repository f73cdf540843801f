"""Whole campaigns with a tiny random model: the same result on any storage, after any crash, in any company."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import yaml

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import finished_units, next_plan
from activelora.campaign.manifest import Unit
from activelora.rules.file import load_config

KINDS = {"number": "How far is the moon", "human": "Who wrote the play", "location": "Where is the river"}
WORDS = ("red", "green", "blue", "first", "far", "water", "fire", "earth")
KILLS = 20

# Processes that have torch loaded already, so that a kill hits the campaign and not the imports.
forked = multiprocessing.get_context("forkserver")
forked.set_forkserver_preload(["tests.test_end_to_end", "activelora.scoring.predict", "activelora.modeling.training"])


def write_campaign(folder, tiny_model_path, **changes):
    rng = random.Random(0)
    rows = []
    for index in range(60):
        label = sorted(KINDS)[index % 3]
        words = " ".join(rng.choices(WORDS, k=rng.randint(1, 6)))
        rows.append({"text": f"{KINDS[label]} {words} {index} ?", "label": label})
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = {
        "name": "tiny",
        "seed": 3,
        "task": {"prompt": "Question: {text}\nAnswer type:", "labels": sorted(KINDS), "chat_template": "never"},
        "data": {"pool": {"path": "pool.jsonl"}, "holdout_size": 15, "calibration_size": 9, "shard_rows": 20},
        "model": {"base": str(tiny_model_path)},
        "adapter": {"rank": 2, "last_layers": 2},
        "training": {
            "min_steps": 0,
            "warmup_fraction": 0.0,
            "epochs": 4,
            "learning_rate": 1.0e-3,
            "checkpoint_every_steps": 2,
        },
        "scoring": {"num_samples": 3},
        "acquisition": {"strategy": "star", "batch_size": 6, "exploration": 0.2},
        "stopping": {"max_rounds": 3},
        "evaluation": {"bootstrap_samples": 100},
        "tracking": {"enabled": False},
    }
    for section, values in changes.items():
        document[section] = {**document.get(section, {}), **values}
    (folder / "campaign.yaml").write_text(yaml.safe_dump(document))
    return folder / "campaign.yaml"


def run_in_this_process(file, uri):
    from pipelines.engines.inline import run_campaign

    campaign = Campaign.create(uri, load_config(file))
    assert run_campaign(campaign).status == "finished"
    return campaign


def run_in_a_process(file, uri):
    import torch

    torch.set_num_threads(1)
    run_in_this_process(file, uri)


def results(campaign):
    """What a campaign found: selections byte for byte, metrics but for times, and what was trained."""
    found = {}
    for unit in sorted(finished_units(campaign), key=str):
        manifest = campaign.require(unit)
        found[str(unit)] = {
            "metrics": {name: value for name, value in manifest.metrics.items() if name != "seconds"},
            "files": {name: entry.sha256 for name, entry in manifest.files.items() if name != "labels.parquet"},
        }
    return found


@pytest.fixture(scope="module", autouse=True)
def own_cache(restored_by_module, tmp_path_factory):
    """Keep trunk states out of the user's cache; what one campaign keeps, the others of this module find."""
    os.environ["ACTIVELORA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def campaign_file(tmp_path_factory, tiny_model_path):
    return write_campaign(tmp_path_factory.mktemp("data"), tiny_model_path)


@pytest.fixture(scope="module")
def undisturbed(campaign_file, tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    return run_in_this_process(campaign_file, str(tmp_path_factory.mktemp("undisturbed") / "campaign"))


def test_a_campaign_does_all_its_rounds(undisturbed):
    plan = next_plan(undisturbed)
    assert (plan.status, plan.round) == ("stopped", 3)
    assert plan.reason == "all 3 planned rounds are done (18 labels)"
    shards = undisturbed.require(Unit("ingest_pool")).details["num_shards"]
    assert shards > 1
    assert len(finished_units(undisturbed)) == 1 + 3 * (3 + shards) + 3 + 1
    labels = [undisturbed.require(Unit("train_adapter", round_)).metrics["num_labels"] for round_ in (1, 2, 3)]
    assert labels == [6, 12, 18]
    selected = [
        item
        for round_ in range(3)
        for item in undisturbed.read_table(undisturbed.require(Unit("select_batch", round_)), "selection.parquet")[
            "item_id"
        ].to_pylist()
    ]
    assert len(set(selected)) == 18
    assert b"tiny" in undisturbed.store.read("report.html")


def test_a_second_run_does_nothing_again(undisturbed, campaign_file):
    before = results(undisturbed)
    attempts = {unit: undisturbed.require(unit).attempt for unit in finished_units(undisturbed)}
    run_in_this_process(campaign_file, undisturbed.store.uri)
    assert results(undisturbed) == before
    assert attempts == {unit: undisturbed.require(unit).attempt for unit in finished_units(undisturbed)}


def test_kept_trunk_states_change_no_byte(undisturbed, tmp_path, tiny_model_path):
    kept = list((Path(os.environ["ACTIVELORA_CACHE"]) / "trunk").glob("*.states"))
    assert len(kept) > 18, "the shards', the holdout's and a state for every label"
    file = write_campaign(tmp_path, tiny_model_path, resources={"trunk_cache_gb": 0})
    without = run_in_this_process(file, str(tmp_path / "campaign"))
    assert results(without) == results(undisturbed)
    assert set(kept) == set((Path(os.environ["ACTIVELORA_CACHE"]) / "trunk").glob("*.states"))


def test_killed_at_random_moments_it_ends_with_the_same_result(undisturbed, campaign_file, tmp_path):
    uri = str(tmp_path / "campaign")
    rng = random.Random(1)
    hit = 0
    begin = time.monotonic()
    whole = forked.Process(target=run_in_a_process, args=(campaign_file, str(tmp_path / "timed")))
    whole.start()
    whole.join()
    seconds = time.monotonic() - begin
    for _ in range(KILLS):
        process = forked.Process(target=run_in_a_process, args=(campaign_file, uri))
        process.start()
        process.join(rng.uniform(0.0, seconds / 4))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            hit += 1
        process.join()
    assert hit > KILLS / 4
    campaign = run_in_this_process(campaign_file, uri)
    assert results(campaign) == results(undisturbed)


def test_two_processes_at_once_neither_corrupt_nor_double_anything(undisturbed, campaign_file, tmp_path):
    uri = str(tmp_path / "campaign")
    processes = [forked.Process(target=run_in_a_process, args=(campaign_file, uri)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    campaign = Campaign.open(uri)
    assert results(campaign) == results(undisturbed)
    for round_ in range(3):
        labels = campaign.read_table(campaign.require(Unit("await_labels", round_)), "labels.parquet")
        assert len(set(labels["item_id"].to_pylist())) == labels.num_rows == 6


def test_a_campaign_on_s3_selects_the_same(undisturbed, campaign_file, s3_uri):
    campaign = run_in_this_process(campaign_file, f"{s3_uri}/campaign")
    assert results(campaign) == results(undisturbed)


@pytest.mark.parametrize(
    "strategy",
    [
        "random",
        "stratified_random",
        "least_confidence",
        "margin",
        "entropy",
        "bald",
        "variation_ratio",
        "batch_bald",
        "epig",
        "badge",
        "density_weighted",
        "hybrid",
    ],
)
def test_every_kind_of_strategy_runs_a_campaign(tmp_path, tiny_model_path, strategy):
    file = write_campaign(
        tmp_path, tiny_model_path, acquisition={"strategy": strategy, "exploration": 0.0}, stopping={"max_rounds": 2}
    )
    campaign = run_in_this_process(file, str(tmp_path / "campaign"))
    assert campaign.require(Unit("evaluate_adapter", 2)).metrics["num_holdout"] == 15


def test_the_random_strategy_never_scores_the_pool(tmp_path, tiny_model_path):
    file = write_campaign(tmp_path, tiny_model_path, acquisition={"strategy": "random"}, stopping={"max_rounds": 1})
    campaign = run_in_this_process(file, str(tmp_path / "campaign"))
    assert campaign.require(Unit("score_pool", 0, 0)).metrics["num_samples"] == 0
