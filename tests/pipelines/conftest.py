"""Campaigns in a chosen state: real manifests, without the work behind them; and the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import step_units
from activelora.campaign.manifest import Unit
from activelora.config import CampaignConfig
from activelora.rules.file import checked_config
from pipelines.cli.main import main

METRICS = {
    "ingest_pool": {"num_pool": 40.0, "num_holdout": 10.0},
    "train_adapter": {"num_labels": 4.0, "seconds": 1.0},
    "evaluate_adapter": {"accuracy": 0.5, "ece": 0.2, "nll": 1.0, "num_holdout": 10.0, "seconds": 1.0},
    "score_pool": {"num_scored": 20.0},
    "select_batch": {"num_selected": 4.0, "num_candidates": 40.0},
    "await_labels": {"num_labeled": 4.0, "num_requested": 4.0},
}
NUM_SHARDS = 2


def make_config(**sections: object) -> CampaignConfig:
    document = {
        "name": "tiny",
        "task": {"prompt": "{text}", "labels": ["cat", "dog"]},
        "data": {"pool": {"path": "pool.jsonl"}, "holdout_size": 10},
        "acquisition": {"batch_size": 4, "strategy": "random"},
        "stopping": {"max_rounds": 2},
        "tracking": {"enabled": False},
        **sections,
    }
    return checked_config(document, where="test")


def finish(campaign: Campaign, unit: Unit) -> None:
    details = {"num_shards": NUM_SHARDS, "has_gold": True} if unit.step == "ingest_pool" else {}
    campaign.attempt(unit).commit(METRICS[unit.step], details)


def finish_step(campaign: Campaign, step: str, round_: int = 0) -> None:
    for unit in step_units(step, round_, NUM_SHARDS) if step != "ingest_pool" else (Unit("ingest_pool"),):
        finish(campaign, unit)


@pytest.fixture
def new_campaign(tmp_path: Path) -> Callable[..., Campaign]:
    def create(*finished: str | tuple[str, int], **sections: object) -> Campaign:
        campaign = Campaign.create(str(tmp_path / "campaign"), make_config(**sections))
        for step in finished:
            finish_step(campaign, *((step,) if isinstance(step, str) else step))
        return campaign

    return create


@pytest.fixture
def run(capsys):
    """A command as its exit code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run
