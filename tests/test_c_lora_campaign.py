"""Whole campaigns with C-LoRA and a tiny random model: with every strategy, and after kills with the same result."""

import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest
import torch
import yaml

from activelora.acquisition.registry import STRATEGIES
from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.rules.file import load_config
from activelora.scoring.predict import Predictor
from tests.test_end_to_end import results, run_in_a_process, run_in_this_process, write_campaign

C_LORA = {"method": "c_lora", "dropout": 0.0, "c_lora": {"width": 8, "learning_rate": 0.05}}
KILLS = 5

forked = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module")
def campaign_file(tmp_path_factory, tiny_model_path):
    return write_campaign(tmp_path_factory.mktemp("data"), tiny_model_path, adapter=C_LORA, stopping={"max_rounds": 2})


@pytest.fixture(scope="module")
def undisturbed(campaign_file, tmp_path_factory):
    torch.set_num_threads(1)
    return run_in_this_process(campaign_file, str(tmp_path_factory.mktemp("undisturbed") / "campaign"))


def test_the_adapter_that_a_campaign_keeps_is_plain_peft(undisturbed, tiny_model_path, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    manifest = undisturbed.require(Unit("train_adapter", 2))
    assert manifest.metrics["kl_nats"] > 0
    assert manifest.details["method"] == "c_lora"
    folder = undisturbed.download_folder(manifest, "adapter", tmp_path)
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model_path), folder)
    assert loaded.peft_config["default"].peft_type == "CLORA"


def test_samples_of_a_round_differ_and_repeat(undisturbed):
    from activelora.pool.access import shard_items

    items = list(shard_items(undisturbed, 0))[:6]
    with Predictor.load(undisturbed, 2) as predictor:
        first = predictor.log_probs(items, 3)
        again = predictor.log_probs(list(reversed(items)), 3)[::-1]
        mean = predictor.log_probs(items, 0)
    assert mean.shape[1] == 1
    np.testing.assert_allclose(first, again, atol=1e-5)
    assert np.abs(first[:, 1:] - first[:, :1]).max() > 1e-5


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_result(undisturbed, campaign_file, tmp_path):
    uri, rng, hit = str(tmp_path / "campaign"), random.Random(1), 0
    begin = time.monotonic()
    whole = forked.Process(target=run_in_a_process, args=(campaign_file, str(tmp_path / "timed")))
    whole.start()
    whole.join()
    seconds = time.monotonic() - begin
    for _ in range(KILLS):
        process = forked.Process(target=run_in_a_process, args=(campaign_file, uri))
        process.start()
        process.join(rng.uniform(seconds / 8, seconds / 2))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            hit += 1
        process.join()
    assert hit > 0
    campaign = run_in_this_process(campaign_file, uri)
    assert results(campaign) == results(undisturbed)


FAST = {"star", "batch_bald", "badge"}
REFUSED = {"expected_gradient_length"}  # its gradients are those of plain LoRA
BY_SCORES = sorted(name for name, strategy in STRATEGIES.items() if strategy.needs_scores and name not in REFUSED)


@pytest.mark.parametrize(
    "strategy", [pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow]) for name in BY_SCORES]
)
def test_every_strategy_works_with_it(tmp_path, tiny_model_path, strategy):
    file = write_campaign(
        tmp_path,
        tiny_model_path,
        adapter=C_LORA,
        acquisition={"strategy": strategy, "exploration": 0.0},
        training={"epochs": 1},
        stopping={"max_rounds": 2},
    )
    campaign = run_in_this_process(file, str(tmp_path / "campaign"))
    assert campaign.require(Unit("evaluate_adapter", 2)).metrics["num_holdout"] == 15
    assert Campaign.open(campaign.store.uri).config.adapter.method == "c_lora"


def test_sampled_evaluation_and_the_head_in_a_campaign(tmp_path, tiny_model_path):
    """The published code's targets, evaluated by the mean of M softmaxes."""
    file = write_campaign(
        tmp_path,
        tiny_model_path,
        adapter={**C_LORA, "last_layers": None, "targets": ["q_proj", "v_proj", "lm_head"]},
        evaluation={"num_samples": 3},
        stopping={"max_rounds": 1},
    )
    document = yaml.safe_load(file.read_text())
    assert document["evaluation"]["num_samples"] == 3
    campaign = run_in_this_process(file, str(tmp_path / "campaign"))
    assert load_config(file).adapter.targets == ("q_proj", "v_proj", "lm_head")
    assert campaign.require(Unit("evaluate_adapter", 1)).metrics["num_holdout"] == 15
