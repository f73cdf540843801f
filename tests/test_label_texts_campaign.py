"""Whole campaigns with a tiny random model over labels that begin alike: every adapter method, and what check says."""

import numpy as np
import pytest

from activelora.campaign.manifest import Unit
from activelora.errors import ProblemsError
from activelora.rules.file import load_config
from pipelines.cli.checks import check_campaign
from tests.test_task_kinds import run, write_campaign

LABELS = ["blue_water", "blue_fire", "the_moon", "the_moon_far"]
INTENTS = {
    "labels": LABELS,
    "answer": "text",
    "answer_words": {label: label.replace("_", " ") for label in LABELS},
}


def label_of(index):
    return LABELS[index % 4]


@pytest.mark.parametrize(
    ("method", "acquisition"),
    [
        ("lora", {"strategy": "expected_gradient_length", "expected_gradient_length": {"gradient": "adapter"}}),
        ("lora", {"strategy": "discriminative"}),
        ("ensemble", {"strategy": "bald"}),
        ("blob", {"strategy": "badge"}),
        ("laplace", {"strategy": "batch_bald"}),
        ("tfb", {"strategy": "bald"}),
        ("c_lora", {"strategy": "star"}),
    ],
)
def test_every_method_serves_labels_that_begin_alike(tmp_path, tiny_model_path, method, acquisition):
    changes = {"acquisition": acquisition, "adapter": {"method": method}, "evaluation": {"num_samples": 2}}
    campaign = run(write_campaign(tmp_path, tiny_model_path, INTENTS, label_of, **changes), tmp_path)
    for round_ in (0, 2):
        manifest = campaign.require(Unit("evaluate_adapter", round_))
        assert {"accuracy", "macro_f1", "ece", "nll", "brier", "ece_scaled"} <= set(manifest.metrics)
        rows = campaign.read_table(manifest, "predictions.parquet").to_pylist()
        np.testing.assert_allclose([sum(row["probs"]) for row in rows], 1.0)
    prior_C = campaign.read_json(campaign.require(Unit("evaluate_adapter", 0)), "evaluation.json")["label_prior"]
    assert len(prior_C) == len(LABELS)
    assert campaign.read_json(campaign.require(Unit("evaluate_adapter", 2)), "evaluation.json")["label_prior"] is None


def test_training_on_labels_that_begin_alike_learns_them(tmp_path, tiny_model_path):
    training = {"epochs": 30, "learning_rate": 0.02}
    file = write_campaign(tmp_path, tiny_model_path, INTENTS, lambda _: "blue_fire", training=training)
    campaign = run(file, tmp_path)
    before, after = (campaign.require(Unit("evaluate_adapter", round_)).metrics for round_ in (0, 2))
    assert after["accuracy"] == 1.0
    assert after["nll"] < before["nll"] / 2


def test_check_tells_what_the_labels_cost_and_how_to_tell_them_apart(tmp_path, tiny_model_path):
    facts = dict(check_campaign(load_config(write_campaign(tmp_path, tiny_model_path, INTENTS, label_of))).facts)
    assert " more for all answers together" in facts["model"]
    words = {**INTENTS, "answer": "words"}
    with pytest.raises(ProblemsError, match=r"both begin with the token.*Use `answer: text`"):
        check_campaign(load_config(write_campaign(tmp_path, tiny_model_path, words, label_of)))
