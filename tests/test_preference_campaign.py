"""Whole campaigns that ask which of two answers is better, with a tiny random model."""

import html
import json
import random
from dataclasses import replace

import numpy as np
import pytest
import yaml

from activelora.acquisition import core_set
from activelora.acquisition.pool import scored_pool
from activelora.acquisition.registry import STRATEGIES
from activelora.acquisition.strategy import EMBEDDINGS, FEATURES
from activelora.campaign.campaign import Campaign
from activelora.campaign.labels import label_snapshot
from activelora.campaign.ledger import next_plan
from activelora.campaign.manifest import Unit
from activelora.campaign.records import Item
from activelora.errors import ModelError, ProblemsError
from activelora.labeling.label_studio.interface import instructions
from activelora.labeling.llm.prompt import messages
from activelora.labeling.request import make_request
from activelora.pool import access
from activelora.prediction.export import export
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.sources import open_bundle
from activelora.rules.file import checked_config, load_config
from activelora.scoring.predict import Predictor
from activelora.tracking.report import render_report
from components.entry import run_unit
from pipelines.cli.checks import check_campaign
from pipelines.cli.status_document import status_document
from pipelines.engines.inline import run_campaign
from tests.test_task_kinds import WORDS, answer_by_files, write_campaign

TASK = {"kind": "preference", "prompt": "Question: {text}\nAnswer:", "first_answer": "left", "second_answer": "right"}


def write_pairs(folder, model, task=TASK, **changes):
    """Write a campaign whose better answer is the one with `water` in it."""
    file = write_campaign(folder, model, task, lambda index: "first", **changes)
    rng = random.Random(0)
    rows = []
    for index in range(48):
        answers = ["water " + rng.choice(WORDS[:3]), "fire " + rng.choice(WORDS[:3])]
        better = rng.randrange(2)
        left, right = answers if better == 0 else answers[::-1]
        text = f"{' '.join(rng.choices(WORDS, k=3))} {index}"
        rows.append({"text": text, "left": left, "right": right, "gold": ("first", "second")[better]})
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def work(file, folder):
    """Do what `run` does, without a report after every step, whose plots take most of a tiny campaign's time."""
    config = load_config(file)
    check_campaign(config)
    campaign = Campaign.create(str(folder / "campaign"), config)
    while (plan := next_plan(campaign)).status == "work":
        for unit in plan.units:
            assert run_unit(campaign, unit) is not None
    assert (plan.status, plan.round) == ("stop", config.stopping.max_rounds)
    return campaign


LEARNING = {"training": {"min_steps": 40, "warmup_fraction": 0.0, "epochs": 2, "learning_rate": 1.0e-2}}


@pytest.fixture(scope="module")
def learned(tmp_path_factory, tiny_model_path):
    """A campaign that has learned which answer is better, and has ended and published its report."""
    folder = tmp_path_factory.mktemp("learned")
    file = write_pairs(folder, tiny_model_path, **LEARNING, acquisition={"strategy": "entropy", "batch_size": 8})
    campaign = work(file, folder)
    assert run_campaign(campaign).status == "finished"
    return campaign


@pytest.mark.parametrize(
    "acquisition",
    [
        {"strategy": "entropy"},
        {"strategy": "bald", "initial": "strategy"},
        {"strategy": "badge"},
        {"strategy": "d_optimal", "initial": "strategy", "exploration": 0.25, "per_class_floor": 1},
    ],
)
def test_strategies_pick_by_the_probability_that_the_first_is_better(tmp_path, tiny_model_path, acquisition):
    file = write_pairs(tmp_path, tiny_model_path, acquisition=acquisition)
    campaign = work(file, tmp_path)
    rows = campaign.read_table(campaign.require(Unit("evaluate_adapter", 2)), "predictions.parquet").to_pylist()
    assert {row["label"] for row in rows} == {0, 1}
    picked = [
        item
        for round_ in (0, 1)
        for item in campaign.read_table(campaign.require(Unit("select_batch", round_)), "selection.parquet")
        .column("item_id")
        .to_pylist()
    ]
    assert len(set(picked)) == 8
    base = campaign.require(Unit("evaluate_adapter", 0)).metrics
    assert base["nll"] == pytest.approx(np.log(2))


@pytest.mark.parametrize(("scoring", "num_samples"), [({}, 2), ({"two_stage": 0.5}, 0)])
def test_answers_differ_under_the_rounds_model_for_labelled_items_too(tmp_path, tiny_model_path, scoring, num_samples):
    file = write_pairs(tmp_path, tiny_model_path, acquisition={"strategy": "d_optimal"}, scoring=scoring)
    campaign = work(file, tmp_path)
    items = [item for shard in (0, 1) for item in access.shard_items(campaign, shard)]
    tables = [campaign.read_table(campaign.require(Unit("score_pool", 1, shard)), "scores.parquet") for shard in (0, 1)]
    assert "embedding" not in tables[0].column_names
    labels = label_snapshot(campaign, 1).labels
    pool = scored_pool(tables)
    assert (len(pool.features_ND), len(pool.labeled_features_LD)) == (len(items) - 4, 4)
    with Predictor.load(campaign, 1) as predictor:
        _, found_ND = predictor.of_differences().log_probs_and_embeddings(items, num_samples)
    of_item = dict(zip((item.item_id for item in items), found_ND, strict=True))
    np.testing.assert_allclose(pool.features_ND, [of_item[item_id] for item_id in pool.item_ids], atol=1e-4)
    np.testing.assert_allclose(pool.labeled_features_LD, [of_item[item_id] for item_id in sorted(labels)], atol=1e-4)


def test_a_strategy_that_reads_embeddings_too_gets_both(tmp_path, tiny_model_path, monkeypatch):
    """None of ours does; another package's may."""
    greedy = replace(core_set.STRATEGY, needs=frozenset({EMBEDDINGS, FEATURES}))
    monkeypatch.setitem(STRATEGIES._built_in, "core_set", greedy)
    changes = {"acquisition": {"strategy": "core_set", "initial": "strategy"}, "stopping": {"max_rounds": 1}}
    campaign = work(write_pairs(tmp_path, tiny_model_path, **changes), tmp_path)
    items = access.shard_items(campaign, 0)
    pool = scored_pool([campaign.read_table(campaign.require(Unit("score_pool", 0, 0)), "scores.parquet")])
    with Predictor.load(campaign, 0) as predictor:
        _, embeddings_ND = predictor.log_probs_and_embeddings(items, 0)
        _, differences_ND = predictor.of_differences().log_probs_and_embeddings(items, 0)
    order = np.argsort([item.item_id for item in items])
    np.testing.assert_allclose(pool.embeddings_ND, embeddings_ND[order], atol=1e-4)
    np.testing.assert_allclose(pool.features_ND, differences_ND[order], atol=1e-4)


def test_a_campaign_learns_and_says_how_sure_it_is(learned):
    campaign = learned
    metrics = campaign.require(Unit("evaluate_adapter", 2)).metrics
    assert metrics["accuracy"] > 0.9
    assert metrics["accuracy_low"] <= metrics["accuracy"] <= metrics["accuracy_high"]
    assert metrics["nll"] < np.log(2)
    assert {"ece", "nll_scaled", "temperature"} <= set(metrics)
    assert campaign.require(Unit("train_adapter", 2)).metrics["final_loss"] < np.log(2)
    assert status_document(campaign)["rounds"][2]["accuracy"] == metrics["accuracy"]
    page = render_report(campaign, {})
    assert "The model says which of two answers is better:" in page
    assert "nats per label." in page
    items, labels_N = access.holdout(campaign)
    with Predictor.load(campaign, 2) as predictor:
        log_probs_NC = predictor.log_probs(items, 0)[:, 0]
    assert (log_probs_NC.argmax(axis=1) == labels_N).mean() > 0.9


def test_a_model_is_asked_by_its_columns_and_exported_with_its_base_beside_it(tmp_path, learned):
    row = {"text": "far", "left": "water red", "right": "fire red"}
    swapped = {**row, "left": row["right"], "right": row["left"]}
    with open_bundle(learned.store.uri, 2) as bundle:
        with LoadedModel.load(bundle) as model:
            there, back = model.predict([row, swapped])
            assert (there.label, back.label) == ("first", "second")
            assert there.probability == pytest.approx(back.probability, abs=1e-5)
        with pytest.raises(ModelError, match="merged weights cannot be compared with the base model's"):
            export(bundle, tmp_path / "merged", merged=True)
        assert "against the base model's own likelihoods" in export(bundle, tmp_path / "exported").no_program


def test_people_are_shown_both_answers(tmp_path, tiny_model_path):
    data = {"pool": {"path": "pool.jsonl"}, "known_labels": "ignore"}
    file = write_pairs(tmp_path, tiny_model_path, labeling={"source": "files"}, data=data)
    campaign, rows = answer_by_files(file, tmp_path, ["first", "B", "second", " a "])
    assert rows[0]["allowed_labels"] == "first | second | skip"
    assert {"text", "left", "right"} <= set(rows[0])
    request = make_request(campaign, 0)
    item = next(iter(request.items.values()))
    system, user = messages(request, item)
    asked = "Which is the better answer: `first`, which is {left}, or `second`, which is {right}?"
    assert asked in system["content"]
    assert json.loads(user["content"])["item"] == item.fields
    assert asked in html.unescape(instructions(campaign.config))
    manifest = campaign.require(Unit("await_labels", 0))
    labels = campaign.read_table(manifest, "labels.parquet").to_pydict()
    wanted = {row["item_id"]: label for row, label in zip(rows, [0, 1, 1, 0], strict=True)}
    assert dict(zip(labels["item_id"], labels["label"], strict=True)) == wanted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"adapter": {"method": "laplace"}}, "`laplace` does not serve a preference task"),
        ({"acquisition": {"strategy": "expected_gradient_length"}}, "this is preference"),
        ({"resources": {"train": {"num_processes": 2}}}, "a preference task trains in one process"),
        ({"task": {**TASK, "prompt": "{text} {left}"}}, "the prompt shows {left}"),
        ({"task": {**TASK, "beta": 0}}, "task.beta"),
    ],
)
def test_what_does_not_go_with_it_is_refused(tmp_path, tiny_model_path, changes, message):
    document = yaml.safe_load(write_pairs(tmp_path, tiny_model_path).read_text())
    with pytest.raises(ProblemsError) as caught:
        checked_config({**document, **changes}, where="x.yaml")
    assert message in str(caught.value)


def test_d_optimal_serves_kinds_with_one_answer_of_several(tmp_path, tiny_model_path):
    document = yaml.safe_load(write_pairs(tmp_path, tiny_model_path, acquisition={"strategy": "d_optimal"}).read_text())
    checked_config(document, where="x.yaml")
    number = {"kind": "regression", "prompt": "{text} is", "minimum": 0, "maximum": 9}
    with pytest.raises(
        ProblemsError, match="regression has number: it serves classification, yes_no, multiple_choice, "
    ):
        checked_config({**document, "task": number}, where="x.yaml")


def test_a_row_without_an_answer_is_named(tmp_path, tiny_model_path):
    file = write_pairs(tmp_path, tiny_model_path)
    lines = (tmp_path / "pool.jsonl").read_text().splitlines()
    lines[3] = json.dumps({name: value for name, value in json.loads(lines[3]).items() if name != "right"})
    (tmp_path / "pool.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(ProblemsError, match=r"pool.jsonl:4: .*`right`"):
        check_campaign(load_config(file))


@pytest.mark.parametrize(
    "adapter",
    [
        {"method": "ensemble", "ensemble": {"members": 2}},
        {"method": "blob"},
        {"method": "c_lora"},
        {"method": "lora", "dropout": 0.3},
    ],
)
def test_samples_of_every_posterior_are_compared_with_the_same_base_model(tmp_path, tiny_model_path, adapter):
    shape = {"rank": 2, "last_layers": 2, **adapter}
    training = {**LEARNING["training"], "min_steps": 10, "soft_labels": True}
    stopping = {"max_rounds": 1}
    campaign = work(
        write_pairs(tmp_path, tiny_model_path, adapter=shape, training=training, stopping=stopping), tmp_path
    )
    items, _ = access.holdout(campaign)
    swapped = [
        Item(item.item_id, {**item.fields, "left": item.fields["right"], "right": item.fields["left"]})
        for item in items
    ]
    with Predictor.load(campaign, 1) as predictor:
        first_NK = predictor.log_probs(items, 2)[:, :, 0]
        second_NK = predictor.log_probs(swapped, 2)[:, :, 1]
        again_NK = predictor.log_probs(items[:3], 2)[:, :, 0]
    assert first_NK.shape[1] == 2
    assert np.abs(first_NK[:, 0] - first_NK[:, 1]).max() > 1e-4
    assert np.abs(first_NK - np.log(0.5)).max() > 1e-3
    np.testing.assert_allclose(first_NK[:3], again_NK, atol=1e-4)
    if adapter["method"] != "c_lora":  # whose noise belongs to a text
        np.testing.assert_allclose(first_NK, second_NK, atol=1e-4)
