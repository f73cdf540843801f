"""A campaign whose holdout follows its pool: who joins, who is trained on, and what is said of it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from activelora.campaign import ledger
from activelora.campaign.campaign import Campaign
from activelora.campaign.held_out import DRAWS, held_out_draws, trained_snapshot
from activelora.campaign.labels import label_snapshot
from activelora.campaign.manifest import Unit
from activelora.campaign.refreshes import pool_of
from activelora.campaign.snapshot import Snapshot
from activelora.errors import DataError, ProblemsError
from activelora.pool import access
from components.entry import run_unit
from components.evaluate_adapter.refreshed import PREDICTIONS
from pipelines.engines.inline import run_campaign, tick
from tests.pipelines.engines.test_growing_pools import OTHER_WORDS, lines, make, put
from tests.pipelines.tiny import tiny_config

ACQUISITION = {"batch_size": 6, "strategy": "entropy", "exploration": 0.5}


def grown(folder: Path, model: Path, **sections: Any) -> Campaign:
    """Return a campaign whose pool grows after round 0 and again after round 1."""
    folder.mkdir(exist_ok=True)
    sections = {"data": {"holdout_refresh": "exploration"}, "acquisition": ACQUISITION, **sections}
    campaign = make(folder, model, **sections)
    tick(campaign)
    put(folder, "second.jsonl", lines(100, 160, OTHER_WORDS))
    tick(campaign)
    put(folder, "third.jsonl", lines(200, 230, OTHER_WORDS))
    return campaign


def draws_of(campaign: Campaign, round_: int) -> list[dict[str, Any]]:
    return campaign.read_table(campaign.require(Unit("select_batch", round_)), DRAWS).to_pylist()


def test_draws_of_what_came_later_join_for_good_and_are_never_trained_on(tmp_path, tiny_model_path):
    campaign = grown(tmp_path, tiny_model_path)
    assert run_campaign(campaign).status == "finished"
    members: set[str] = set()
    later = {
        item.item_id
        for shard in range(pool_of(campaign, 0).num_shards, pool_of(campaign, 3).num_shards)
        for item in access.shard_items(campaign, shard)
    }
    for round_ in (1, 2, 3):
        before = draws_of(campaign, round_ - 1)
        assert len(before) == 3
        selection = campaign.require(Unit("select_batch", round_ - 1))
        num = int(selection.metrics["num_candidates"])
        assert {(row["inclusion_probability"], row["num_candidates"]) for row in before} == {(3 / num, num)}
        assert {row["item_id"] for row in before if row["refresh"]} == {row["item_id"] for row in before} & later
        members |= {row["item_id"] for row in before} & later
        training, evaluation = (campaign.require(Unit(f"{step}_adapter", round_)) for step in ("train", "evaluate"))
        labels = label_snapshot(campaign, round_).labels
        assert training.metrics["num_labels"] == len(labels) - len(members)
        assert trained_snapshot(campaign, round_)[0].labels.keys() == labels.keys() - members
        assert set(trained_snapshot(campaign, round_)[0].records["item_id"].to_pylist()).isdisjoint(members)
        assert evaluation.metrics["num_holdout"] == 10, "rounds are compared by the same items"
        if not members:
            assert PREDICTIONS not in evaluation.files
            continue
        table = campaign.read_table(evaluation, PREDICTIONS)
        assert set(table["item_id"].to_pylist()) == members
        assert table["label"].to_pylist() == [labels[item_id] for item_id in table["item_id"].to_pylist()]
        check_numbers(campaign, round_, table)
    assert len(members) > 1, "else this test shows nothing"
    assert "The holdout has grown by" in campaign.store.read("report.html").decode()


def check_numbers(campaign: Campaign, round_: int, added: pa.Table) -> None:
    """Work the weighted accuracy and Kish's size out again, item by item."""
    evaluation = campaign.require(Unit("evaluate_adapter", round_))
    draws, _ = held_out_draws(campaign, round_)
    sizes = [40.0, *(refresh.metrics["num_new"] for refresh in pool_of(campaign, round_).refreshes)]
    rows = added.to_pylist()
    per_part: dict[int, float] = defaultdict(float)
    for row in rows:
        per_part[draws[row["item_id"]].refresh] += 1 / draws[row["item_id"]].probability
    first = campaign.read_table(evaluation, "predictions.parquet").to_pylist()
    counted = [(sizes[0] / len(first), row) for row in first]
    for row in rows:
        draw = draws[row["item_id"]]
        counted.append((sizes[draw.refresh] / draw.probability / per_part[draw.refresh], row))
    total = sum(weight for weight, _ in counted)
    right = sum(weight for weight, row in counted if row["label"] == row["predicted"]) / total
    metrics = evaluation.metrics
    assert metrics["refreshed_accuracy"] == pytest.approx(right)
    assert metrics["refreshed_effective_size"] == pytest.approx(total**2 / sum(weight**2 for weight, _ in counted))
    assert (metrics["refreshed_num"], metrics["refreshed_num_added"]) == (len(counted), len(rows))
    assert [row["weight"] for row in rows] == pytest.approx([weight / total for weight, _ in counted[len(first) :]])
    assert [row["round"] for row in rows] == [draws[row["item_id"]].round for row in rows]
    assert metrics["refreshed_accuracy_low"] <= right <= metrics["refreshed_accuracy_high"]


def test_killed_midway_and_done_by_two_tickers_it_ends_with_the_same_bytes(tmp_path, tiny_model_path):
    campaign = grown(tmp_path, tiny_model_path)
    evaluate = Unit("evaluate_adapter", 2)
    while evaluate not in (units := ledger.next_plan(Snapshot(campaign)).units):
        for unit in units:
            run_unit(Snapshot(campaign), unit)
        assert units, "the campaign has ended before it"
    run_unit(Snapshot(campaign), evaluate)
    first = campaign.require(evaluate)
    assert first.metrics["refreshed_num_added"] > 0
    (Path(campaign.store.uri) / "rounds" / "0002" / "evaluate_adapter" / "manifest.json").unlink()  # as if killed
    for ticker in [Snapshot(Campaign.open(campaign.store.uri)) for _ in range(2)]:  # which both find it to do
        run_unit(ticker, evaluate)
    campaign = Campaign.open(campaign.store.uri)
    again = campaign.require(evaluate)
    assert again.digest == first.digest
    digests = [manifest.files[PREDICTIONS].sha256 for manifest in (first, again)]
    assert digests[0] == digests[1]
    assert run_campaign(campaign).status == "finished"


def test_without_the_setting_draws_are_trained_on_as_ever(tmp_path, tiny_model_path):
    campaign = grown(tmp_path, tiny_model_path, data={}, stopping={"max_rounds": 2})
    assert run_campaign(campaign).status == "finished"
    evaluation = campaign.require(Unit("evaluate_adapter", 2))
    assert campaign.require(Unit("train_adapter", 2)).metrics["num_labels"] == 12
    assert not any(name.startswith("refreshed") for name in (*evaluation.metrics, *evaluation.details))
    assert draws_of(campaign, 1), "the record is there for whoever needs it"


def test_a_selection_without_the_record_is_refused_in_words(tmp_path, tiny_model_path):
    campaign = make(tmp_path, tiny_model_path, data={"holdout_refresh": "exploration"}, acquisition=ACQUISITION)
    tick(campaign)
    attempt = campaign.attempt(Unit("select_batch", 1))
    attempt.commit({"num_selected": 0, "num_candidates": 0}, {})
    with pytest.raises(DataError, match="round 1 does not say with which probability") as error:
        held_out_draws(campaign, 2)
    assert "leave data.holdout_refresh out" in (error.value.remedy or "")
    assert held_out_draws(campaign, 1)[0] == {}


@pytest.mark.parametrize(
    ("acquisition", "task", "words"),
    [
        ({"exploration": 0.0}, {}, "draws none"),
        ({"exploration": 0.05, "batch_size": 6}, {}, "exploration 0.05 of a batch of 6 draws none"),
        ({"exploration": 0.5}, {"kind": "multi_label"}, "right or wrong"),
    ],
)
def test_it_needs_random_draws_and_answers_that_are_right_or_wrong(tmp_path, acquisition, task, words):
    sections: dict[str, Any] = {
        "data": {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout_refresh": "exploration"},
        "acquisition": {"strategy": "entropy", **acquisition},
        "task": {"prompt": "{text} is", "labels": ["water", "fire", "red"], "chat_template": "never", **task},
    }
    with pytest.raises(ProblemsError, match=r"(?s)data\.holdout_refresh.*" + words):
        tiny_config(tmp_path, tmp_path, **sections)
