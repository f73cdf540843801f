"""Whole campaigns of query strategies with the tiny model, and what the random share of their batches tells."""

import html

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.history import read_history
from activelora.campaign.manifest import Unit
from activelora.tracking.mlflow_content import metrics_of
from activelora.tracking.report import render_report
from pipelines.cli.status_document import status_document
from pipelines.engines.inline import run_campaign
from tests.pipelines.tiny import tiny_config


def campaign_of(folder, model_path, **acquisition):
    config = tiny_config(folder, model_path, acquisition={"batch_size": 5, **acquisition})
    campaign = Campaign.create(str(folder / "campaign"), config)
    assert run_campaign(campaign).status == "finished"
    return campaign


def rows_of(campaign, round_):
    return campaign.read_table(campaign.require(Unit("select_batch", round_)), "selection.parquet").to_pylist()


def test_gradients_a_floor_and_the_live_check_end_to_end(tmp_path, tiny_model_path):
    campaign = campaign_of(
        tmp_path,
        tiny_model_path,
        strategy="expected_gradient_length",
        initial="strategy",
        expected_gradient_length={"gradient": "adapter"},
        exploration=0.4,
        per_class_floor=1,
    )
    for round_ in (0, 1):
        rows = rows_of(campaign, round_)
        assert sum(row["score"] is None for row in rows) == 2
        assert all("gradient length of the adapter" in row["reason"] for row in rows if row["score"] is not None)
    records = read_history(campaign)
    points = {(point.key, point.step): point.value for point in metrics_of(records[2], records)}
    points = {(name.removeprefix("random draws/"), step): value for (name, step), value in points.items()}
    assert points["num_explored", 2] == 2
    assert points["intervals/explored_accuracy_low", 2] <= points["explored_accuracy", 2]
    assert points["explored_accuracy", 2] <= points["intervals/explored_accuracy_high", 2]
    assert points["explored_accuracy", 2] == pytest.approx(1 - points["exploration_error", 2])
    pool, strategy, _ = status_document(campaign)["live_check"]
    assert pool.startswith("Of 2 items drawn at random from the pool in round 1, the model of that moment answered ")
    assert strategy.startswith("It was wrong on ")
    page = render_report(campaign, {})
    assert pool.replace("'", "&#39;") in page
    prevalence = status_document(campaign)["prevalence"]
    assert sum(one["share"] for one in prevalence["labels"].values()) == pytest.approx(1)
    assert prevalence["sentences"][0] in html.unescape(page)
    assert records[1].evaluation.details["live_check"]["rounds"] == [0]
