"""Self-training: which items, at which temperature, and that they are never taken for labels."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from activelora.campaign.campaign import Campaign
from activelora.campaign.held_out import trained_snapshot
from activelora.campaign.labels import label_snapshot
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot
from activelora.config.adapter import SelfTrainingConfig
from activelora.errors import ProblemsError
from activelora.labeling.deletion import delete_item
from activelora.modeling.base import load_base
from components.train_adapter.pseudo_labels import (
    PseudoLabel,
    details_of,
    digest_of,
    most_probable,
    pseudo_labels,
    scaled,
    sure_of,
)
from components.train_adapter.step import Lessons, _encode
from pipelines.engines.inline import run_campaign
from tests.pipelines.tiny import tiny_config

SURE = {"confidence": 0.34, "per_label": 2, "weight": 0.5}


def test_temperature_scales_as_it_does_logits():
    torch.manual_seed(0)
    logits = torch.randn(5, 3, dtype=torch.float64) * 3
    logits[0, 2] = -torch.inf  # an item of fewer answers
    for temperature in (0.5, 1.0, 2.5):
        expected = torch.softmax(logits / temperature, dim=1).numpy()
        np.testing.assert_allclose(scaled(torch.softmax(logits, dim=1).numpy(), temperature), expected, atol=1e-12)


def table(**columns):
    probs = [[0.1, 0.9], [0.6, 0.4], [0.95, 0.05], [0.02, 0.98]]
    return pa.table({"item_id": ["a", "b", "c", "d"], "mean_probs": probs, **columns})


def test_only_what_the_model_is_sure_of_and_nobody_labelled_is_taken():
    found = sure_of(table(), {"d"}, 0.89, 1.0)
    assert [(one.item_id, one.label) for one in found] == [("a", 1), ("c", 0)]
    assert [one.probability for one in found] == pytest.approx([0.9, 0.95])
    (one,) = sure_of(table(labeled=[False, False, True, False]), {"d"}, 0.89, 1.0)
    assert one.item_id == "a"
    assert [found.item_id for found in sure_of(table(), (), 0.9, 2.0)] == []  # less sure, at a temperature of 2
    assert [found.item_id for found in sure_of(table(), (), 0.9, 0.2)] == ["a", "c", "d"]
    assert sure_of(table().drop_columns(["mean_probs"]), (), 0.1, 1.0) == []  # nothing was scored
    assert sure_of(table().slice(0, 0), (), 0.1, 1.0) == []


def test_each_label_has_its_most_probable_ones_whatever_the_order():
    sure = [PseudoLabel(name, label, p) for name, label, p in (("d", 0, 0.9), ("b", 0, 0.9), ("c", 0, 0.99))]
    sure += [PseudoLabel("a", 1, 0.91)]
    expected = ["a", "b", "c"]  # of equal ones the first by id
    for order in (sure, sure[::-1]):
        assert [one.item_id for one in most_probable(order, SelfTrainingConfig(per_label=2))] == expected


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory, tiny_model_path):
    found = {}
    for name, settings in (("plain", None), ("sure", SURE)):
        folder = tmp_path_factory.mktemp(name)
        config = tiny_config(
            folder,
            tiny_model_path,
            acquisition={"batch_size": 4, "strategy": "entropy"},
            stopping={"max_rounds": 3},
            labeling={"source": "oracle"},
            training={"epochs": 2, "batch_size": 4, "learning_rate": 0.01, "min_steps": 0, "self_training": settings},
        )
        found[name] = Campaign.create(str(folder / "campaign"), config)
        assert run_campaign(found[name]).status == "finished"
    return found


def trained(campaign, round_):
    return campaign.require(Unit("train_adapter", round_))


def chosen(campaign, round_):
    seen = Snapshot(campaign)
    return pseudo_labels(seen, campaign.attempt(Unit("train_adapter", round_)), trained_snapshot(seen, round_)[0])


def test_from_round_2_on_a_round_trains_on_the_last_one_s_answers(campaigns):
    plain, sure = campaigns["plain"], campaigns["sure"]
    assert "num_pseudo_labels" not in trained(plain, 2).metrics
    assert "pseudo_labels" not in trained(plain, 2).details
    assert trained(sure, 1).metrics["num_pseudo_labels"] == 0
    assert trained(sure, 1).details["pseudo_labels"]["digest"] == trained(sure, 1).details["label_digest"]
    first = [trained(one, 1).files["loss.json"].sha256 for one in (plain, sure)]
    assert first[0] == first[1]
    for round_ in (2, 3):
        manifest, pseudo = trained(sure, round_), chosen(sure, round_)
        assert 0 < len(pseudo) <= 2 * 3
        assert manifest.metrics["num_pseudo_labels"] == len(pseudo)
        assert manifest.metrics["num_labels"] == trained(plain, round_).metrics["num_labels"] == 4 * round_
        assert manifest.metrics["num_steps"] == -(-2 * (4 * round_ + len(pseudo)) // 4)
        said = manifest.details["pseudo_labels"]
        assert said == details_of(pseudo, digest_of(trained_snapshot(sure, round_)[0], pseudo))
        assert said["digest"] != manifest.details["label_digest"]
        assert sum(said["by_label"].values()) == said["num"] == len(pseudo)
        scores = {}
        for shard in (0, 1):
            if one := sure.manifest(Unit("score_pool", round_ - 1, shard)):
                rows = sure.read_table(one, "scores.parquet").to_pylist()
                scores |= {row["item_id"]: row["mean_probs"] for row in rows}
        for one in pseudo:
            assert one.label == int(np.argmax(scores[one.item_id]))


def test_a_random_batch_is_scored_for_the_next_round_s_pseudo_labels_alone(tmp_path, tiny_model_path):
    found = {}
    for name, settings in (("plain", None), ("sure", SURE)):
        (tmp_path / name).mkdir()
        config = tiny_config(
            tmp_path / name,
            tiny_model_path,
            acquisition={"batch_size": 4, "strategy": "random"},
            stopping={"max_rounds": 2},
            labeling={"source": "oracle"},
            training={"epochs": 1, "batch_size": 4, "learning_rate": 0.01, "min_steps": 0, "self_training": settings},
        )
        found[name] = Campaign.create(str(tmp_path / name / "campaign"), config)
        assert run_campaign(found[name]).status == "finished"
    plain, sure = found["plain"], found["sure"]

    def is_scored(campaign, round_):
        unit = Unit("score_pool", round_, 0)
        return "mean_probs" in campaign.read_table(campaign.require(unit), "scores.parquet").column_names

    assert [is_scored(plain, round_) for round_ in (0, 1)] == [False, False]
    assert [is_scored(sure, round_) for round_ in (0, 1)] == [False, True]  # no trained model answers in round 0
    for round_ in (0, 1):  # the draws are those of random all the same
        unit = Unit("select_batch", round_)
        tables = [one.read_table(one.require(unit), "selection.parquet") for one in (plain, sure)]
        assert tables[0].equals(tables[1])
    assert [trained(sure, round_).metrics["num_pseudo_labels"] > 0 for round_ in (1, 2)] == [False, True]
    assert trained(sure, 2).metrics["num_pseudo_labels"] == len(chosen(sure, 2))


def test_each_counts_as_much_as_is_asked_for_beside_the_labels(campaigns):
    sure = campaigns["sure"]
    seen, pseudo = Snapshot(sure), chosen(sure, 2)
    lessons = Lessons(trained_snapshot(seen, 2)[0], pseudo, "digest")
    items, labels, weights = _encode(seen, load_base(sure.config.model), lessons)
    ids = sorted([*lessons.snapshot.labels, *(one.item_id for one in pseudo)])
    own = {one.item_id: one.label for one in pseudo}
    assert len(items) == len(ids) == 8 + len(pseudo)
    assert list(weights) == [0.5 if item_id in own else 1.0 for item_id in ids]
    assert list(labels) == [own.get(item_id, lessons.snapshot.labels.get(item_id)) for item_id in ids]


def test_nobody_was_ever_asked_for_a_pseudo_label_and_none_is_in_the_log(campaigns):
    sure = campaigns["sure"]
    for round_ in (2, 3):
        taken = {one.item_id for one in chosen(sure, round_)}
        for earlier in range(round_):
            selection = sure.read_table(sure.require(Unit("select_batch", earlier)), "selection.parquet")
            assert not taken & set(selection["item_id"].to_pylist())
        assert not taken & label_snapshot(sure, round_).labels.keys()


def test_a_deleted_item_is_no_pseudo_label_any_more_and_the_digest_says_so(campaigns):
    """So that no checkpoint that learned from it is gone on with."""
    sure = campaigns["sure"]
    before, snapshot = chosen(sure, 3), trained_snapshot(sure, 3)[0]
    delete_item(sure, before[0].item_id, "asked to")
    after = chosen(sure, 3)
    assert before[0].item_id not in {one.item_id for one in after}
    assert digest_of(snapshot, after) != digest_of(snapshot, before)
    assert digest_of(snapshot, []) == snapshot.digest


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"adapter": {"method": "laplace"}}, "`laplace` takes every answer that it is trained on for a person's"),
        ({"adapter": {"method": "tfb"}}, "`tfb` takes every answer that it is trained on for a person's"),
        ({"task": {"kind": "multi_label", "prompt": "{text} {label}", "labels": ["a", "b"]}}, "this is multi_label"),
    ],
)
def test_where_there_are_no_answers_to_train_on_it_is_refused(tmp_path, sections, words):
    with pytest.raises(ProblemsError, match="self_training") as found:
        tiny_config(tmp_path, tmp_path, training={"self_training": SURE}, **sections)
    assert words in str(found.value)
