"""Every adapter method in a campaign: the same bytes by seed and after a kill, any measure, any strategy."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pyarrow as pa
import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.campaign.records import LABEL_SCHEMA
from activelora.labeling.deletion import delete_item
from activelora.modeling.methods.registry import METHODS
from activelora.pool.access import shard_items
from activelora.rules.file import checked_config
from activelora.scoring.predict import Predictor
from activelora.uncertainty.measures import MEASURES
from components.ingest_pool import step as ingest_pool
from components.train_adapter import step as train_adapter
from tests.pipelines.tiny import LABELS, write_pool

BUILT_IN = sorted(METHODS)
NUM_LABELS = 9
ADAPTER = {"rank": 2, "ensemble": {"members": 3}, "blob": {"initial_std": 0.05}, "tfb": {"std": 0.1}}


def settings(folder, model_path, method, **sections):
    document = {
        "name": "tiny",
        "seed": 3,
        "task": {"prompt": "{text} is", "labels": LABELS, "chat_template": "never", "label_prior_correction": "always"},
        "data": {"folder": str(folder), "pool": {"path": "pool.jsonl"}, "holdout_size": 10, "calibration_size": 6},
        "model": {"base": str(model_path)},
        "adapter": {**ADAPTER, "method": method},
        "training": {
            "min_steps": 0,
            "warmup_fraction": 0.0,
            "epochs": 3,
            "batch_size": 4,
            "learning_rate": 0.01,
            "checkpoint_every_steps": 2,
        },
        "scoring": {"num_samples": 3},
        "acquisition": {"batch_size": 4, "strategy": "star"},
        "stopping": {"max_rounds": 2},
        "evaluation": {"bootstrap_samples": 100, "num_samples": 2},
        "tracking": {"enabled": False},
    }
    for section, values in sections.items():
        document[section] = {**document[section], **values} if isinstance(values, dict) else values
    return checked_config(document, where="test")


def label(campaign, round_=0):
    """Answer for the first items of the pool."""
    vote = {"annotator": "ann", "source": "files", "labeled_at": "2026-01-01T00:00:00+00:00", "round": round_}
    items = shard_items(campaign, 0)[:NUM_LABELS]
    rows = [{"item_id": item.item_id, "label": index % 3, **vote} for index, item in enumerate(items)]
    attempt = campaign.attempt(Unit("await_labels", round_))
    attempt.write_table("labels.parquet", pa.Table.from_pylist(rows, schema=LABEL_SCHEMA))
    attempt.write_json("states.json", {row["item_id"]: "labeled" for row in rows})
    attempt.commit({"num_labeled": len(rows)})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_pool(folder)
    return folder


@pytest.fixture(scope="module")
def labeled(data, tiny_model_path, tmp_path_factory):
    """Return a maker of campaigns whose first labels are there."""

    def make(method, **sections):
        folder = tmp_path_factory.mktemp(method.replace("_", "-"))
        campaign = Campaign.create(str(folder / "campaign"), settings(data, tiny_model_path, method, **sections))
        ingest_pool.run(campaign)
        label(campaign)
        return campaign

    return make


@pytest.fixture(scope="module", params=BUILT_IN)
def trained(request, labeled):
    campaign = labeled(request.param)
    train_adapter.run(campaign, 1)
    return campaign


def digests(campaign, round_=1):
    return {name: entry.sha256 for name, entry in campaign.require(Unit("train_adapter", round_)).files.items()}


class DyingStore:
    """A store behind which the machine dies right after a number of checkpoints."""

    def __init__(self, store, num_checkpoints):
        self._store = store
        self._left = num_checkpoints

    def write(self, key, content):
        self._store.write(key, content)
        if "/checkpoint-" in key:
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_training_is_the_same_by_seed(trained, labeled):
    method = trained.config.adapter.method
    manifest = trained.require(Unit("train_adapter", 1))
    assert manifest.details["method"] == method
    assert manifest.details["constraint"]["form"] == "decoupled"
    again = labeled(method)
    train_adapter.run(again, 1)
    assert digests(again) == digests(trained)
    other = labeled(method, seed=4)
    train_adapter.run(other, 1)
    assert set(digests(other)) == set(digests(trained))
    assert digests(other)["loss.json"] != digests(trained)["loss.json"]


@pytest.mark.parametrize("num_checkpoints", [2, 10])
def test_a_killed_training_ends_with_the_same_bytes(trained, labeled, num_checkpoints):
    campaign = labeled(trained.config.adapter.method)
    dying = dataclasses.replace(campaign, store=DyingStore(campaign.store, num_checkpoints))
    try:
        train_adapter.run(dying, 1)
    except KeyboardInterrupt:
        assert [key for key in campaign.store.list("rounds/0001/train_adapter/") if "/checkpoint-" in key]
    train_adapter.run(campaign, 1)
    assert digests(campaign) == digests(trained)
    assert not [key for key in campaign.store.list("rounds/0001/train_adapter/") if "/checkpoint-" in key]


def test_no_checkpoint_that_learned_from_a_deleted_item_is_gone_on_with(labeled):
    found = []
    for is_killed in (False, True):
        campaign = labeled("lora")
        if is_killed:
            with pytest.raises(KeyboardInterrupt):
                train_adapter.run(dataclasses.replace(campaign, store=DyingStore(campaign.store, 2)), 1)
        delete_item(campaign, shard_items(campaign, 0)[0].item_id, "asked to")
        train_adapter.run(campaign, 1)
        assert not [key for key in campaign.store.list("rounds/0001/train_adapter/") if "/checkpoint-" in key]
        found.append(digests(campaign))
    assert found[0] == found[1]


def test_a_warm_start_goes_on_from_the_last_round(trained, labeled):
    fresh = labeled(trained.config.adapter.method)
    warm = labeled(trained.config.adapter.method, training={"warm_start": True})
    for campaign in (fresh, warm):
        label(campaign, 1)
        for round_ in (1, 2):
            train_adapter.run(campaign, round_)
    assert digests(fresh, 1) == digests(warm, 1) == digests(trained)
    first = [
        campaign.read_json(campaign.require(Unit("train_adapter", 2)), "loss.json")[0] for campaign in (fresh, warm)
    ]
    assert first[1] < first[0]


def test_every_adapter_loads_with_plain_peft(trained, tiny_model_path, tmp_path):
    """And answers as the prediction without sampling does: in an ensemble, as the mean of the members."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from activelora.modeling.base import load_base
    from activelora.modeling.encoding import Encoder

    trained.download_folder(trained.require(Unit("train_adapter", 1)), "adapter", tmp_path)
    items = shard_items(trained, 0)[:3]
    encoded = Encoder(load_base(trained.config.model).tokenizer, trained.config.task).encode(items)
    folders = sorted(path.parent for path in tmp_path.rglob("adapter_config.json"))
    assert len(folders) == (3 if trained.config.adapter.method == "ensemble" else 1)
    probs = []
    for folder in folders:
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model_path), folder).eval()
        with torch.no_grad():
            logits = [model(input_ids=torch.tensor([one.prompt_ids])).logits[0, -1] for one in encoded]
        answers = [row[[ids[0] for ids in one.answer_ids]] for row, one in zip(logits, encoded, strict=True)]
        probs.append(torch.softmax(torch.stack(answers).double(), dim=1).numpy())
    with Predictor.load(trained, 1) as predictor:
        found = np.exp(predictor.log_probs(items, 0))
    assert found.shape == (3, 1, 3)
    np.testing.assert_allclose(found[:, 0], np.mean(probs, axis=0), atol=1e-5)


def test_samples_differ_repeat_and_feed_every_measure(trained):
    items = shard_items(trained, 0)
    with Predictor.load(trained, 1) as predictor:
        first_NKC = predictor.log_probs(items, 3)
    with Predictor.load(trained, 1) as predictor:
        again_NKC, embeddings_ND = predictor.log_probs_and_embeddings(items, 3)
    np.testing.assert_array_equal(first_NKC, again_NKC)
    assert embeddings_ND.shape == (len(items), 32)
    assert first_NKC.shape == (len(items), 3, 3)
    np.testing.assert_allclose(np.exp(first_NKC).sum(axis=2), 1.0)
    assert all(np.abs(first_NKC[:, a] - first_NKC[:, b]).max() > 1e-4 for a, b in [(0, 1), (0, 2), (1, 2)])
    for name, measure in MEASURES.items():
        assert np.isfinite(measure(first_NKC)).all(), name
    assert MEASURES["bald"](first_NKC).max() > 1e-6
    assert MEASURES["bald"](first_NKC).min() >= 0


@pytest.mark.parametrize("batch_tokens", [64, 4096])
def test_scores_do_not_depend_on_batches_order_or_company(trained, batch_tokens):
    items = shard_items(trained, 0)
    with Predictor.load(trained, 1) as predictor:
        reference_NKC = predictor.log_probs(items, 3)
    scoring = trained.config.scoring.model_copy(update={"batch_tokens": batch_tokens})
    training = trained.config.training.model_copy(update={"batch_size": 3})
    config = trained.config.model_copy(update={"scoring": scoring, "training": training})
    order = np.random.default_rng(0).permutation(len(items))
    with Predictor.load(dataclasses.replace(trained, config=config), 1) as predictor:
        shuffled_NKC = predictor.log_probs([items[i] for i in order], 3)
        parts = [predictor.log_probs(part, 3) for part in (items[:1], items[1:7], items[7:])]
    np.testing.assert_allclose(np.exp(shuffled_NKC), np.exp(reference_NKC[order]), atol=1e-5)
    np.testing.assert_allclose(np.exp(np.concatenate(parts)), np.exp(reference_NKC), atol=1e-5)


def test_no_items_are_no_trouble_and_the_base_model_is_given_back(trained):
    import torch

    from activelora.modeling.base import load_base

    model = load_base(trained.config.model).model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with Predictor.load(trained, 1) as predictor:
        assert predictor.log_probs([], 2).size == 0
        predictor.log_probs(shard_items(trained, 0)[:2], 2)
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in model.parameters())


STRATEGIES = ["star", *(pytest.param(name, marks=pytest.mark.slow) for name in ("batch_bald", "badge", "vote_entropy"))]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("method", BUILT_IN)
def test_any_posterior_serves_any_strategy(method, strategy, data, tiny_model_path, tmp_path):
    """With temperature scaling on a calibration split, and the label prior divided out in every round."""
    from pipelines.engines.inline import run_campaign

    shutil.copy(data / "pool.jsonl", tmp_path)
    config = settings(tmp_path, tiny_model_path, method, acquisition={"strategy": strategy})
    campaign = Campaign.create(str(tmp_path / "campaign"), config)
    assert run_campaign(campaign).status == "finished"
    for round_ in (1, 2):
        manifest = campaign.require(Unit("evaluate_adapter", round_))
        assert {"accuracy", "ece", "nll", "nll_scaled", "temperature"} <= set(manifest.metrics)
        assert campaign.read_json(manifest, "evaluation.json")["label_prior"] is not None
    assert campaign.require(Unit("score_pool", 1, 0)).metrics["num_samples"] == 3
    assert method in campaign.store.read("report.html").decode()
