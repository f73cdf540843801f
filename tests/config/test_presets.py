"""Presets fill what a file leaves out, and what it says holds. C-LoRA's is tested with its method."""

import pytest

from activelora.config import CampaignConfig
from activelora.errors import ProblemsError
from activelora.rules.file import checked_config

BASE = {
    "name": "test",
    "task": {"prompt": "{text}", "labels": ["a", "b"]},
    "data": {"pool": {"path": "pool.jsonl"}},
}


def test_star_s_preset_is_what_its_paper_and_code_do():
    config = checked_config({**BASE, "acquisition": {"star": {"preset": "paper_code"}}}, where="test")
    assert config.acquisition.strategy == "star"
    assert (config.acquisition.initial, config.acquisition.batch_size, config.stopping.max_rounds) == (
        "random",
        500,
        10,
    )
    assert (config.scoring.num_samples, config.scoring.mask) == (3, "token")
    assert config.acquisition.measure == "expected_entropy"
    adapter, training = config.adapter, config.training
    assert (adapter.rank, adapter.alpha, adapter.dropout, len(adapter.targets)) == (64, 16.0, 0.1, 7)
    assert (adapter.constraint.form, adapter.constraint.strength) == ("decoupled", 0.5)
    assert (training.learning_rate, training.epochs, training.min_steps, training.warmup_fraction) == (1.5e-4, 3, 0, 0)
    assert CampaignConfig.model_validate_json(config.model_dump_json()) == config


def test_what_the_file_says_holds_and_the_control_is_one_setting():
    acquisition = {"strategy": "random", "batch_size": 20, "star": {"preset": "paper_code"}}
    control = {**BASE, "acquisition": acquisition, "adapter": {"constraint": {"form": "none"}, "rank": 4}}
    config = checked_config(control, where="test")
    assert (config.acquisition.strategy, config.acquisition.batch_size) == ("random", 20)
    assert (config.adapter.constraint.form, config.adapter.rank, config.adapter.alpha) == ("none", 4, 16.0)
    assert config.training.epochs == 3


def test_a_preset_that_is_none_is_named():
    with pytest.raises(ProblemsError, match=r"`acquisition.star.preset` must be .*none.*paper_code"):
        checked_config({**BASE, "acquisition": {"star": {"preset": "paper"}}}, where="test")
