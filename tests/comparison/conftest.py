"""Finished campaigns with chosen answers: real manifests and predictions, without a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from activelora.campaign.campaign import Campaign, stop_campaign
from activelora.campaign.manifest import Unit
from activelora.comparison.measured import Method, Run
from tests.pipelines.conftest import finish_step, make_config

BATCH, NUM_ITEMS = 4, 200
RunBuilder = Callable[..., Run]


def write_evaluation(campaign: Campaign, round_: int, right_N: np.ndarray, holdout: str) -> None:
    rows = [
        {
            "item_id": f"{holdout}{index:04d}",
            "label": 1,
            "predicted": int(right),
            "confidence": 0.8,
            "probs": [0.2, 0.8] if right else [0.8, 0.2],
        }
        for index, right in enumerate(right_N)
    ]
    attempt = campaign.attempt(Unit("evaluate_adapter", round_))
    attempt.write_table("predictions.parquet", pa.Table.from_pylist(rows))
    metrics = {"accuracy": float(right_N.mean()), "ece": 0.1, "num_holdout": len(right_N), "seconds": 2.0}
    metrics["nll"] = float(-np.log(np.where(right_N, 0.8, 0.2)).mean())
    attempt.commit(metrics)


@pytest.fixture
def build_run(tmp_path: Path) -> RunBuilder:
    """Return a function that writes a finished campaign whose rounds have given accuracies, seeded by its seed."""

    def build(strategy: str, seed: int, accuracies: list[float], adapter: str = "lora", holdout: str = "item") -> Run:
        config = make_config(seed=seed, stopping={"max_rounds": len(accuracies)})
        campaign = Campaign.create(str(tmp_path / f"{strategy}-{adapter}-{seed}"), config)
        finish_step(campaign, "ingest_pool")
        draws_N = np.random.default_rng(seed).random(NUM_ITEMS)  # common to all methods of a seed, as items are
        for round_, accuracy in enumerate(accuracies):
            write_evaluation(campaign, round_, draws_N < accuracy, holdout)
            if round_ < len(accuracies) - 1:
                for step in ("score_pool", "select_batch", "await_labels"):
                    finish_step(campaign, step, round_)
        stop_campaign(campaign, "done")
        return Run(Method(strategy, adapter), seed, campaign)

    return build
