"""evaluate_adapter with a real, tiny model and a real pool; its numbers against their definitions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Manifest, Unit
from activelora.errors import ModelError, StoreError
from activelora.evaluation import conformal, temperature
from activelora.evaluation.calibration import ece
from activelora.evaluation.classification_metrics import nll
from activelora.evaluation.conformal import PredictionSets
from activelora.pool import access
from activelora.rules.file import checked_config
from activelora.scoring.predict import Predictor
from activelora.uncertainty import label_prior
from components.evaluate_adapter.step import run
from components.ingest_pool import step as ingest_pool

LABELS = ["description", "human", "number", "location"]
WORDS = [
    "who",
    "what",
    "where",
    "how",
    "many",
    "the",
    "first",
    "river",
    "moon",
    "earth",
    "human",
    "play",
    "far",
    "red",
    "green",
    "blue",
]


def write_rows(folder: Path, num: int, task: str) -> None:
    rng = np.random.default_rng(5)
    with (folder / "pool.jsonl").open("w") as file:
        for index in range(num):
            row: dict = {"text": f"{' '.join(rng.choice(WORDS, 6))} {index}", "label": LABELS[index % 4]}
            if task == "multiple_choice":
                row |= {"choices": WORDS[: 2 + index % 3], "label": index % 2}
            file.write(json.dumps(row) + "\n")


def make_campaign(folder: Path, model: Path, name: str = "campaign", **changes: dict) -> Campaign:
    task = {"prompt": "Question: {text}\nAnswer type:", "labels": LABELS, "chat_template": "never"}
    document = {
        "name": "test",
        "task": task | changes.pop("task", {}),
        "data": {"folder": str(folder), "pool": {"path": "pool.jsonl"}, "holdout_size": 12, "calibration_size": 8},
        "model": {"base": str(model)},
        "acquisition": {"batch_size": 2},
        "evaluation": {"bootstrap_samples": 100},
        **changes,
    }
    document["task"] = {key: value for key, value in document["task"].items() if value is not None}  # type: ignore[attr-defined]
    campaign = Campaign.create(str(folder / name), checked_config(document, where="test.yaml"))
    ingest_pool.run(campaign)
    return campaign


def write_adapter(campaign: Campaign, round_: int, seed: int, folder: Path) -> None:
    """Write a train_adapter manifest whose adapter is away from zero, as after training."""
    import torch

    from activelora.modeling import lora
    from activelora.modeling.base import load_base

    base = load_base(campaign.config.model)
    adapted = lora.attach(base, campaign.config.adapter, seed=seed)
    with lora.attached(adapted):
        torch.manual_seed(seed)
        for parameter in lora.b_parameters(adapted):
            parameter.data.normal_(0, 0.3)
        lora.save(adapted, folder / f"adapter-{round_}")
    attempt = campaign.attempt(Unit("train_adapter", round_))
    attempt.upload_folder("adapter", folder / f"adapter-{round_}")
    attempt.commit(metrics={"num_labels": 2.0})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path, 60, "classification")
    return tmp_path


@pytest.fixture
def campaign(folder: Path, tiny_model_path: Path) -> Campaign:
    return make_campaign(folder, tiny_model_path)


def digests(manifest: Manifest) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in manifest.files.items()}


def test_numbers_are_those_of_the_plain_computation(campaign: Campaign) -> None:
    manifest = run(campaign, 0)
    items, labels_N = access.holdout(campaign)
    pool = sorted(access.shard_items(campaign, 0), key=lambda item: item.item_id)  # rounding goes by the batches
    with Predictor.load(campaign, 0) as predictor:
        prior_C = label_prior.estimate_prior(predictor.log_probs(pool, 0)) ** (len(pool) / (len(pool) + 1))
        prior_C /= prior_C.sum()
        probs_NC = np.exp(predictor.log_probs(items, 0)[:, 0]) / prior_C
        calibration_items, calibration_N = access.calibration(campaign)
        calibration_NC = np.exp(predictor.log_probs(calibration_items, 0)[:, 0]) / prior_C
    probs_NC /= probs_NC.sum(axis=1, keepdims=True)
    calibration_NC /= calibration_NC.sum(axis=1, keepdims=True)
    metrics = manifest.metrics
    assert metrics["accuracy"] == (probs_NC.argmax(axis=1) == labels_N).mean()
    assert metrics["ece"] == pytest.approx(ece(probs_NC, labels_N), rel=1e-5)
    assert metrics["nll"] == pytest.approx(nll(probs_NC, labels_N), rel=1e-5)
    fitted = temperature.fit_temperature(np.log(calibration_NC), calibration_N)
    assert metrics["temperature"] == pytest.approx(fitted, rel=1e-3)
    scaled_NC = temperature.scale(np.log(probs_NC), fitted)
    assert metrics["nll_scaled"] == pytest.approx(nll(scaled_NC, labels_N), rel=1e-3)
    assert "accuracy_scaled" not in metrics
    assert metrics["num_holdout"] == 12
    rows = campaign.read_table(manifest, "predictions.parquet").to_pylist()
    assert [row["item_id"] for row in rows] == [item.item_id for item in items]
    np.testing.assert_allclose([row["probs"] for row in rows], probs_NC, rtol=1e-5)  # float32 in other batches
    assert all(row["confidence"] == max(row["probs"]) for row in rows)
    document = campaign.read_json(manifest, "evaluation.json")
    np.testing.assert_allclose(document["label_prior"], prior_C, rtol=1e-5)
    assert document["temperature"]["num_calibration"] == 8


def test_same_files_every_time_and_done_is_done(folder: Path, tiny_model_path: Path) -> None:
    first = make_campaign(folder, tiny_model_path, "first")
    second = make_campaign(folder, tiny_model_path, "second")
    manifest = run(first, 0)
    assert digests(manifest) == digests(run(second, 0))
    assert manifest.digest == run(second, 0).digest
    assert run(first, 0) == manifest


def test_the_prior_is_corrected_in_round_zero_only(campaign: Campaign, tmp_path: Path) -> None:
    write_adapter(campaign, 1, seed=1, folder=tmp_path)
    documents = [campaign.read_json(run(campaign, round_), "evaluation.json") for round_ in (0, 1)]
    assert len(documents[0]["label_prior"]) == 4
    assert documents[1]["label_prior"] is None


@pytest.mark.parametrize(("wanted", "has_prior"), [("always", True), ("never", False)])
def test_the_prior_by_setting(folder: Path, tiny_model_path: Path, wanted: str, has_prior: bool) -> None:
    campaign = make_campaign(folder, tiny_model_path, task={"label_prior_correction": wanted})
    write_adapter(campaign, 1, seed=1, folder=folder)
    document = campaign.read_json(run(campaign, 1), "evaluation.json")
    assert (document["label_prior"] is not None) == has_prior


@pytest.mark.parametrize(("wanted", "has_prior"), [("always", True), ("cold_start", False)])
def test_the_prior_is_not_corrected_where_one_label_is_most(
    tmp_path: Path, tiny_model_path: Path, wanted: str, has_prior: bool
) -> None:
    """19 of 20 holdout items have one label: the model's mean answer is then the labels' share, and no bias."""
    write_rows(tmp_path, 60, "classification")
    rows = [json.loads(line) for line in (tmp_path / "pool.jsonl").read_text().splitlines()]
    held_out = [{**row, "label": LABELS[0 if number else 1]} for number, row in enumerate(rows[:20])]
    (tmp_path / "holdout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held_out))
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[20:]))
    data = {
        "pool": {"path": str(tmp_path / "pool.jsonl")},
        "holdout": {"path": str(tmp_path / "holdout.jsonl")},
        "calibration_size": 0,
    }
    campaign = make_campaign(tmp_path, tiny_model_path, task={"label_prior_correction": wanted}, data=data)
    document = campaign.read_json(run(campaign, 0), "evaluation.json")
    assert (document["label_prior"] is not None) == has_prior


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_adapter_that_is_worse_than_the_base_model_is_no_champion(
    campaign: Campaign, tmp_path: Path, seed: int
) -> None:
    zero = run(campaign, 0)
    write_adapter(campaign, 1, seed=seed, folder=tmp_path)
    one = run(campaign, 1)
    assert "evaluate_adapter round 0" in one.inputs
    is_worse = one.metrics["accuracy"] < zero.metrics["accuracy"]
    assert one.details["gates"]["passed"] is not is_worse
    assert one.details["champion_round"] == (None if is_worse else 1)
    assert any("of the base model" in reason for reason in one.details["gates"]["reasons"]) == is_worse


def test_gates_and_the_champion_so_far(folder: Path, tiny_model_path: Path, tmp_path: Path) -> None:
    gates = {"improve_on_base": False}
    campaign = make_campaign(folder, tiny_model_path, evaluation={"bootstrap_samples": 100, "gates": gates})
    zero = run(campaign, 0)
    assert zero.details["gates"]["passed"] is False
    assert zero.details["champion_round"] is None
    write_adapter(campaign, 1, seed=1, folder=tmp_path)
    one = run(campaign, 1)
    assert one.details == {"gates": {"passed": True, "reasons": []}, "champion_round": 1}
    assert set(one.inputs) == {"ingest_pool", "train_adapter round 1"}
    write_adapter(campaign, 2, seed=2, folder=tmp_path)
    two = run(campaign, 2)
    assert "evaluate_adapter round 1" in two.inputs
    improved = two.metrics["accuracy"] >= one.metrics["accuracy"]
    assert two.details["gates"]["passed"] == improved
    assert two.details["champion_round"] == (2 if improved else 1)


def test_mean_of_dropout_samples(folder: Path, tiny_model_path: Path) -> None:
    campaign = make_campaign(folder, tiny_model_path, evaluation={"bootstrap_samples": 100, "num_samples": 3})
    write_adapter(campaign, 1, seed=1, folder=folder)
    manifest = run(campaign, 1)
    items, labels_N = access.holdout(campaign)
    with Predictor.load(campaign, 1) as predictor:
        probs_NC = np.exp(predictor.log_probs(items, 3)).mean(axis=1)
    assert manifest.metrics["nll"] == pytest.approx(nll(probs_NC, labels_N), rel=1e-5)


@pytest.mark.parametrize("answer", ["letters", "text"])
def test_multiple_choice_with_different_numbers_of_choices(tmp_path: Path, tiny_model_path: Path, answer: str) -> None:
    write_rows(tmp_path, 60, "multiple_choice")
    prompt = "Question: {text}\n{choices}\nAnswer:"
    task = {"kind": "multiple_choice", "answer": answer, "prompt": prompt, "labels": None}
    campaign = make_campaign(tmp_path, tiny_model_path, task=task)
    manifest = run(campaign, 0)
    items, _ = access.holdout(campaign)
    rows = campaign.read_table(manifest, "predictions.parquet").to_pylist()
    assert [len(row["probs"]) for row in rows] == [len(item.choices) for item in items]
    assert all(sum(row["probs"]) == pytest.approx(1.0) for row in rows)
    document = campaign.read_json(manifest, "evaluation.json")
    assert document["confusion"] is document["per_class"] is None
    assert (document["label_prior"] is None) == (answer == "text")
    assert {"macro_f1", "classwise_ece", "classwise_ece_scaled"}.isdisjoint(manifest.metrics)


def test_splits_whose_widest_items_differ_share_one_prior(tmp_path: Path, tiny_model_path: Path) -> None:
    """Only the pool has items of four choices."""
    write_rows(tmp_path, 60, "multiple_choice")
    rows = [json.loads(line) for line in (tmp_path / "pool.jsonl").read_text().splitlines()]
    narrow = [row for row in rows if len(row["choices"]) == min(len(row["choices"]) for row in rows)]
    (tmp_path / "holdout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in narrow[:8]))
    prompt = "Question: {text}\n{choices}\nAnswer:"
    task = {"kind": "multiple_choice", "answer": "letters", "prompt": prompt, "labels": None}
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout": {"path": "holdout.jsonl"}}
    campaign = make_campaign(tmp_path, tiny_model_path, task=task, data=data)
    manifest = run(campaign, 0)
    prior = campaign.read_json(manifest, "evaluation.json")["label_prior"]
    probs = campaign.read_table(manifest, "predictions.parquet")["probs"].to_pylist()
    assert len(prior) > max(map(len, probs))
    assert all(sum(row) == pytest.approx(1.0) for row in probs)


def test_the_prior_s_items_do_not_depend_on_the_sharding(folder: Path, tiny_model_path: Path) -> None:
    data = {"folder": str(folder), "pool": {"path": "pool.jsonl"}, "holdout_size": 12}
    priors = []
    for shard_rows in (1000, 7):
        place = folder / f"shards-of-{shard_rows}"
        place.mkdir()
        campaign = make_campaign(place, tiny_model_path, data=data | {"shard_rows": shard_rows})
        priors.append(campaign.read_json(run(campaign, 0), "evaluation.json")["label_prior"])
    assert priors[0] == priors[1]


def test_without_a_calibration_split_nothing_is_scaled(folder: Path, tiny_model_path: Path) -> None:
    data = {"folder": str(folder), "pool": {"path": "pool.jsonl"}, "holdout_size": 12}
    manifest = run(make_campaign(folder, tiny_model_path, data=data), 0)
    assert not [name for name in manifest.metrics if name.endswith("_scaled") or name == "temperature"]


def test_an_adapter_that_is_not_trained_yet(campaign: Campaign) -> None:
    with pytest.raises(StoreError, match="train_adapter round 1 is not done yet"):
        run(campaign, 1)


def test_a_diverged_adapter_is_refused_by_item(campaign: Campaign, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    write_adapter(campaign, 1, seed=1, folder=tmp_path)
    path = tmp_path / "adapter-1" / "adapter_model.safetensors"
    save_file({name: np.full_like(array, np.nan) for name, array in load_file(path).items()}, path)
    attempt = campaign.attempt(Unit("train_adapter", 2))
    attempt.upload_folder("adapter", tmp_path / "adapter-1")
    attempt.commit()
    with pytest.raises(ModelError, match="not numbers for 12 of 12 items") as caught:
        run(campaign, 2)
    assert campaign.manifest(Unit("evaluate_adapter", 2)) is None
    assert "begin another one (--campaign) with a lower `training.learning_rate`" in caught.value.remedy


def test_half_of_the_calibration_split_sets_thresholds(tmp_path: Path, tiny_model_path: Path) -> None:
    write_rows(tmp_path, 90, "classification")
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout_size": 12, "calibration_size": 41}
    manifest = run(campaign := make_campaign(tmp_path, tiny_model_path, data=data), 0)
    document = campaign.read_json(manifest, "evaluation.json")
    assert document["temperature"]["num_calibration"] == 20
    assert document["conformal"]["num_items"] == document["abstention"]["num_items"] == 21
    found = conformal.from_document(document["conformal"])
    assert isinstance(found, PredictionSets)
    items, labels_N = access.holdout(campaign)
    rows = campaign.read_table(manifest, "predictions.parquet").to_pylist()
    probs_NC = temperature.scale(np.log([row["probs"] for row in rows]), document["temperature"]["value"])
    sets_NC = found.sets(probs_NC, found.draws([item.item_id for item in items]))
    assert manifest.metrics["conformal_coverage"] == sets_NC[np.arange(12), labels_N].mean()
    assert manifest.metrics["conformal_set_size"] == sets_NC.sum(axis=1).mean()
    assert manifest.metrics["alone_share"] == document["abstention"]["holdout"]["share"]
    assert "at least 45 calibration rows are needed, and there are 21" in document["abstention"]["words"]


def test_without_thresholds_the_reason_is_said(campaign: Campaign, folder: Path, tiny_model_path: Path) -> None:
    document = campaign.read_json(run(campaign, 0), "evaluation.json")
    assert document["conformal"] is document["abstention"] is None
    assert document["no_thresholds"]["conformal"] == (
        "thresholds need 9 calibration rows, half of the split, which has 8"
    )
    data = {"folder": str(folder), "pool": {"path": "pool.jsonl"}, "holdout_size": 12}
    other = make_campaign(folder, tiny_model_path, "other", data=data)
    document = other.read_json(run(other, 0), "evaluation.json")
    assert "no calibration split" in document["no_thresholds"]["abstention"]


def test_the_base_model_is_asked_once_whatever_the_samples(folder: Path, tiny_model_path: Path) -> None:
    """It has no posterior."""
    campaign = make_campaign(folder, tiny_model_path, evaluation={"bootstrap_samples": 100, "num_samples": 7})
    items, _ = access.holdout(campaign)
    with Predictor.load(campaign, 0) as predictor:
        assert predictor.log_probs(items, 7).shape == (12, 1, 4)
