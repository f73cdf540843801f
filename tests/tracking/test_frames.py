from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.api.types import is_float_dtype, is_integer_dtype

import activelora
from activelora.campaign.history import read_history
from activelora.campaign.manifest import Unit
from activelora.errors import StoreError
from activelora.scoring.table import score_table
from pipelines.engines.inline import run_campaign
from tests.pipelines.tiny import LABELS, tiny_config
from tests.tracking.conftest import BATCH, Builder, item_rows
from tests.tracking.conftest import LABELS as TEAMS


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_model_path: Path) -> activelora.Campaign:
    """A campaign that has run: two rounds of four labels."""
    folder = tmp_path_factory.mktemp("frames")
    config = tiny_config(folder, tiny_model_path, acquisition={"batch_size": 4, "strategy": "core_set"})
    run_campaign(activelora.create_campaign(str(folder / "campaign"), config))
    return activelora.open_campaign(str(folder / "campaign"))


def test_curve_has_every_number_of_every_evaluated_round(build_campaign: Builder) -> None:
    campaign = build_campaign(2)
    curve = activelora.curve(campaign)
    assert curve.index.tolist() == [0, 1, 2]
    assert curve.index.name == "round"
    assert curve["num_labels"].tolist() == [0, BATCH, 2 * BATCH]
    for record in read_history(campaign):
        assert curve.loc[record.round].drop("num_labels").to_dict() == dict(record.metrics)


def test_a_campaign_that_has_not_begun_has_empty_tables(build_campaign: Builder) -> None:
    campaign = build_campaign(0, finished=False)
    assert len(activelora.curve(campaign)) == len(activelora.labels(campaign)) == 0
    assert activelora.curve(campaign).index.name == "round"
    assert activelora.labels(campaign).index.name == "item_id"
    with pytest.raises(StoreError, match=r"was not scored yet.*there is: none"):
        activelora.scores(campaign)


def test_empty_tables_have_the_columns_and_types_of_others(build_campaign: Builder) -> None:
    campaign = build_campaign(1)
    full, empty = activelora.labels(campaign), activelora.labels(campaign, 0)
    columns = ["source_id", "fields.text", "label", "annotator", "labeled_at", "source", "num_votes"]
    assert (len(full), len(empty)) == (BATCH, 0)
    assert full.columns.tolist() == empty.columns.tolist() == columns
    assert full.dtypes.to_dict() == empty.dtypes.to_dict()
    curve = activelora.curve(build_campaign(0, finished=False, folder="new"))
    intervals = [f"{name}_{end}" for name in ("accuracy", "ece", "nll") for end in ("low", "high")]
    assert curve.columns.tolist() == ["num_labels", "accuracy", "ece", "nll", *intervals]
    assert set(curve.columns) <= set(activelora.curve(campaign).columns)
    assert is_integer_dtype(curve["num_labels"])
    assert all(is_float_dtype(curve[name]) for name in curve.columns.drop("num_labels"))


def test_empty_tables_of_other_kinds_have_their_columns(build_campaign: Builder) -> None:
    task = {"kind": "multiple_choice", "prompt": "{text} {choices}", "answer": "letters"}
    campaign = build_campaign(0, finished=False, folder="choices", task=task)
    columns = ["source_id", "fields.text", "choices", "label", "annotator", "labeled_at", "source", "num_votes"]
    assert activelora.labels(campaign).columns.tolist() == columns
    task = {"kind": "regression", "prompt": "{text}", "minimum": 0, "maximum": 5}
    campaign = build_campaign(0, finished=False, folder="numbers", task=task)
    assert {"rmse", "mae", "rmse_low", "nll_high"} <= set(activelora.curve(campaign).columns)


def test_scores_of_a_pool_of_which_nothing_is_left(build_campaign: Builder) -> None:
    campaign = build_campaign(0, finished=False)
    table = score_table(["a"], np.log(np.full((1, 2, 8), 1 / 8)))
    attempt = campaign.attempt(Unit("score_pool", 0, 0))
    attempt.write_table("scores.parquet", table.slice(0, 0))
    attempt.commit(metrics={"num_scored": 0, "seconds": 1.0})
    scores = activelora.scores(campaign)
    assert len(scores) == 0
    assert scores.index.name == "item_id"
    assert scores.columns.tolist() == [*table.column_names[1:], "selected"]
    assert scores["selected"].dtype == bool


@pytest.mark.parametrize("round_", [-1, 3, 7])
def test_labels_of_a_round_that_is_not_there(build_campaign: Builder, round_: int) -> None:
    campaign = build_campaign(2)
    sentence = rf"the labels that round {round_} trains on are not known\. Name a round from 0 to 2\."
    with pytest.raises(StoreError, match=sentence):
        activelora.labels(campaign, round_)


def test_tables_of_a_campaign_that_is_named_by_its_place(finished: activelora.Campaign) -> None:
    for place in (finished.store.uri, Path(finished.store.uri)):
        pd.testing.assert_frame_equal(activelora.curve(place), activelora.curve(finished))
        pd.testing.assert_frame_equal(activelora.scores(place, 0), activelora.scores(finished, 0))
        pd.testing.assert_frame_equal(activelora.labels(place), activelora.labels(finished))
    with pytest.raises(StoreError, match="no-campaign"):
        activelora.curve("no-campaign")


def test_labels_are_those_that_the_round_trains_on(build_campaign: Builder) -> None:
    campaign = build_campaign(2)
    labels = activelora.labels(campaign)
    asked = item_rows(2 * BATCH, "pool")
    assert labels.index.tolist() == sorted(row["item_id"] for row in asked)
    for number, row in enumerate(asked):
        assert labels.loc[row["item_id"], "label"] == TEAMS[number % BATCH % 8]
        assert labels.loc[row["item_id"], "fields.text"] == dict(row["fields"])["text"]
    assert set(labels["annotator"]) == {"anna"}
    assert set(labels["labeled_at"]) == {pd.Timestamp("2026-01-02T03:04:05Z")}
    assert set(activelora.labels(campaign, before_round=1).index) == {row["item_id"] for row in asked[:BATCH]}


def test_scores_are_of_the_unlabelled_items_and_tell_what_was_picked(finished: activelora.Campaign) -> None:
    first, last = activelora.scores(finished, 0), activelora.scores(finished)
    assert (len(first), len(last)) == (30, 26)
    assert set(last.index) == set(first.index) - set(activelora.labels(finished, before_round=1).index)
    assert set(last.index[last["selected"]]) | set(first.index[first["selected"]]) == set(
        activelora.labels(finished).index
    )
    assert last["predictive_entropy"].between(0, 1.1).all()
    assert last["mean_probs"].map(sum).tolist() == pytest.approx([1] * 26)
    assert not {"embedding", "log_probs", "labeled"} & set(last.columns)


def test_scores_of_a_round_that_was_not_scored(finished: activelora.Campaign) -> None:
    with pytest.raises(StoreError, match=r"was not scored in round 2.*there is: 0, 1"):
        activelora.scores(finished, 2)


def test_labels_are_words(finished: activelora.Campaign) -> None:
    assert set(activelora.labels(finished)["label"]) <= set(LABELS)
