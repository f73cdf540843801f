"""Campaigns whose pool grows: what arrives is scored, asked for and measured from the next round on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from activelora.campaign import ledger
from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.campaign.refreshes import pool_of
from activelora.campaign.snapshot import Snapshot
from activelora.labeling.worksheet import folder_of
from activelora.pool import access
from components.entry import run_if_due, run_unit, score_share
from components.evaluate_adapter.decide import evaluate_if_due
from components.plan.step import Due, begin_at, due
from pipelines.engines.inline import run_campaign, tick
from tests.pipelines.in_pods import Shown, tick_in_pods
from tests.pipelines.tiny import LABELS, WORDS, tiny_config

OTHER_WORDS = ["iron", "copper", "steel", "zinc", "brass", "lead", "nickel", "silver", "gold", "tin"]


def lines(begin: int, end: int, words: list[str] = WORDS) -> list[dict[str, str]]:
    return [
        {"text": f"{words[n % 10]} or {words[n // 10 % 10]} {n}", "label": LABELS[n % 3]} for n in range(begin, end)
    ]


def put(folder: Path, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    (folder / "pool").mkdir(exist_ok=True)
    (folder / "pool" / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def make(folder: Path, model: Path, name: str = "campaign", **sections: Any) -> Campaign:
    if not (folder / "pool").exists():
        put(folder, "first.jsonl", lines(0, 40))
    pool = {"path": "pool", "refresh": "each_round", **sections.pop("pool", {})}
    data = {"folder": str(folder), "pool": pool, "holdout_size": 10, "shard_rows": 20, **sections.pop("data", {})}
    config = tiny_config(folder, model, **{"data": data, "stopping": {"max_rounds": 3}, **sections})
    return Campaign.create(str(folder / name), config)


def selected(campaign: Campaign, round_: int) -> list[str]:
    manifest = campaign.require(Unit("select_batch", round_))
    ids = campaign.read_table(manifest, "selection.parquet").sort_by("position")["item_id"].to_pylist()
    return [item.fields["text"] for item in map(access.find_items(campaign, ids).__getitem__, ids)]


def test_three_hundred_rows_arrive_and_the_next_tick_takes_them_in(tmp_path, tiny_model_path):
    """With STAR, whose base uncertainty of items that came later is scored when they are first seen."""
    campaign = make(tmp_path, tiny_model_path)
    assert tick(campaign).status == "moved"
    put(tmp_path, "second.jsonl", lines(100, 400, OTHER_WORDS))
    second = tick(campaign)
    assert second.done[:3] == (Unit("ingest_pool", 1), Unit("train_adapter", 1), Unit("evaluate_adapter", 1))
    assert pool_of(campaign, 0).num_items == 30
    assert pool_of(campaign, 1).num_items == 330
    scored = [unit.shard for unit in second.done if unit.step == "score_pool"]
    assert scored == list(range(17))
    for shard in range(17):  # of the base model too
        assert campaign.require(Unit("score_pool", 0, shard)).metrics["num_samples"] == 1
    assert campaign.require(Unit("select_batch", 0)).metrics["num_candidates"] == 30
    selection = campaign.require(Unit("select_batch", 1))
    assert selection.metrics["num_candidates"] == 326
    assert {"ingest_pool", "ingest_pool refresh 1", "evaluate_adapter round 1"} <= set(selection.inputs)
    assert "ingest_pool refresh 1" not in campaign.require(Unit("select_batch", 0)).inputs
    assert any(word in text for text in selected(campaign, 1) for word in OTHER_WORDS)
    assert 0 <= selection.metrics["drift_label_mix"] <= 1
    evaluation = campaign.require(Unit("evaluate_adapter", 1))
    assert evaluation.metrics["drift_share"] == pytest.approx(300 / 330)
    assert evaluation.metrics["drift_auc"] > 0.9
    assert evaluation.details["num_refreshes"] == 1
    assert not evaluation.details["drift"]["stands"]
    assert evaluation.details["drift"]["sentences"][-1].startswith("Warning: the holdout may no longer stand")
    put(tmp_path, "third.jsonl", lines(400, 410))
    last = run_campaign(campaign)
    assert (last.status, last.reason) == ("finished", "all 3 planned rounds are done (12 labels)")
    assert Unit("ingest_pool", 2) in last.done
    assert Unit("ingest_pool", 3) not in last.done  # the last round asks for nothing
    assert pool_of(campaign, 3).num_items == 340
    report = campaign.store.read("report.html").decode()
    assert "340 unlabelled items, 310 of them since the first reading" in report
    assert "Warning: the holdout may no longer stand for the pool" in report


def test_the_order_of_arrival_and_the_engine_change_no_selection(tmp_path, tiny_model_path):
    strategy = {"batch_size": 4, "strategy": "entropy", "exploration": 0.25}
    parts = {"b.jsonl": lines(60, 75), "a.jsonl": lines(50, 65)}
    campaigns = []
    for folder, order in {"one": ["a.jsonl", "b.jsonl"], "other": ["b.jsonl", "a.jsonl"]}.items():
        (tmp_path / folder).mkdir()
        campaign = make(tmp_path / folder, tiny_model_path, acquisition=strategy, stopping={"max_rounds": 2})
        tick(campaign)
        for name in order:
            put(tmp_path / folder, name, parts[name])
        campaigns.append(campaign)
    assert run_campaign(campaigns[0]).status == "finished"
    while tick_in_pods(campaigns[1].store.uri, tmp_path).work:
        pass
    for round_ in (0, 1):
        assert selected(campaigns[0], round_) == selected(campaigns[1], round_)
    units = [ledger.finished_units(campaign) for campaign in campaigns]
    assert units[0] == units[1]
    for unit in units[0]:
        assert campaigns[0].require(unit).digest == campaigns[1].require(unit).digest, str(unit)
    assert {"drift_holdout_gap", "drift_holdout_gap_low"} <= campaigns[0].require(
        Unit("evaluate_adapter", 2)
    ).metrics.keys()


def test_the_task_that_waits_for_labels_refreshes_the_pool_for_the_next_round(tmp_path, tiny_model_path):
    campaign = make(tmp_path, tiny_model_path, acquisition={"batch_size": 4, "strategy": "random"})
    uri, shown = campaign.store.uri, Shown(str(tmp_path / "shown"))
    run_if_due("ingest_pool", uri)
    _, shares = evaluate_if_due(uri, 0, 2, shown, shown)
    for share in shares:
        score_share(uri, 0, share)
    run_if_due("select_batch", uri, 0)
    put(tmp_path, "second.jsonl", lines(50, 55))
    run_if_due("await_labels", uri, 0)
    assert campaign.require(Unit("ingest_pool", 1)).metrics["num_new"] == 5
    assert due(Campaign.open(uri)) == Due(1, work=True, train=True, evaluate=True)
    shutil.rmtree(Path(uri) / "pool" / "refresh-0001")  # as if killed before it was done
    assert begin_at(uri, -1) == (1, True)
    assert due(Campaign.open(uri)) == Due(1, ingest=True)
    run_if_due("ingest_pool", uri)
    assert due(Campaign.open(uri)) == Due(1, work=True, train=True, evaluate=True)


def test_a_refresh_in_the_middle_of_a_round_is_of_the_next(tmp_path, tiny_model_path):
    campaign = make(
        tmp_path,
        tiny_model_path,
        pool={"refresh": "never"},
        acquisition={"batch_size": 4, "strategy": "least_confidence", "initial": "strategy"},
    )
    seen = Snapshot(campaign)
    run_unit(seen, Unit("ingest_pool"))
    run_unit(seen, Unit("evaluate_adapter"))
    run_unit(seen, Unit("score_pool", 0, 0))
    put(tmp_path, "second.jsonl", lines(50, 55))
    seen.refresh()
    run_unit(seen, Unit("ingest_pool", 1))
    seen.refresh()
    assert ledger.next_plan(seen).units == (Unit("score_pool", 0, 1),)
    assert tick(campaign).status == "moved"
    assert campaign.require(Unit("select_batch", 0)).metrics["num_candidates"] == 30
    second = tick(campaign)
    assert second.done[0] == Unit("train_adapter", 1)  # it never looks by itself
    assert campaign.require(Unit("select_batch", 1)).metrics["num_candidates"] == 31
    assert campaign.require(Unit("score_pool", 0, 2)).inputs.keys() == {
        "ingest_pool", "ingest_pool refresh 1", "evaluate_adapter round 0"
    }  # fmt: skip


def test_labels_that_arrive_with_rows_are_trained_on_from_the_next_round_on(tmp_path, tiny_model_path):
    put(tmp_path, "first.jsonl", [*lines(0, 12), *({"text": row["text"]} for row in lines(12, 40))])
    (tmp_path / "holdout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines(500, 510)))
    campaign = make(
        tmp_path,
        tiny_model_path,
        data={"holdout": {"path": "holdout.jsonl"}},
        labeling={"source": "files"},
        acquisition={"batch_size": 4, "strategy": "random"},
    )
    assert tick(campaign).status == "moved"
    assert campaign.require(Unit("await_labels", 0)).metrics["num_labeled"] == 12
    put(tmp_path, "second.jsonl", [*lines(40, 43), {"text": "nobody knows"}])
    assert tick(campaign).status == "waiting"
    sheet = Path(campaign.store.uri) / folder_of(1) / "to_label.csv"
    asked = {line.split(",")[0] for line in sheet.read_text(encoding="utf-8").splitlines()[1:]}
    assert len(asked) == 4
    known = access.arrived_labels(campaign, 1).labels.keys()
    assert len(known) == 3
    assert not asked & known
    answer(campaign, sorted(asked))
    assert tick(campaign).status == "waiting"
    labels = campaign.require(Unit("await_labels", 1))
    assert (labels.metrics["num_labeled"], labels.metrics["num_known"]) == (7, 3)
    assert campaign.require(Unit("train_adapter", 2)).metrics["num_labels"] == 19
    assert ledger.num_asked(campaign, 2) == 4


def answer(campaign: Campaign, ids: list[str]) -> None:
    inbox = Path(campaign.store.uri) / "inbox"
    inbox.mkdir(exist_ok=True)
    content = "item_id,label\n" + "".join(f"{item_id},{LABELS[0]}\n" for item_id in ids)
    (inbox / "answers.csv").write_text(content, encoding="utf-8")
