from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import activelora
from activelora.campaign.history import read_history
from activelora.errors import StoreError
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
    with pytest.raises(StoreError, match=r"was not scored yet.*there is: none"):
        activelora.scores(campaign)


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
