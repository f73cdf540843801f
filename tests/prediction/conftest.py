"""Campaigns of each kind of task with a tiny model, evaluated with an adapter away from zero."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from activelora.campaign.campaign import Campaign
from activelora.rules.file import checked_config
from components.evaluate_adapter import step as evaluate_adapter
from components.ingest_pool import step as ingest_pool
from tests.components.test_evaluate_adapter import write_adapter

WORDS = ("red", "green", "blue", "first", "far", "water", "fire", "earth", "moon", "river")
LABELS = ["description", "human", "number", "location"]
TOPICS = ["water", "fire", "red"]
KINDS: dict[str, tuple[dict[str, Any], Callable[[int], Any]]] = {
    "classification": ({"labels": LABELS}, lambda index: LABELS[index % 4]),
    "yes_no": ({"kind": "yes_no"}, lambda index: ["no", "yes"][index % 2]),
    "multiple_choice": (
        {"kind": "multiple_choice", "prompt": "{text}\n{choices}\nAnswer:", "answer": "letters"},
        lambda index: index % 2,
    ),
    "multi_label": (
        {"kind": "multi_label", "prompt": "Question: {text}\nIs it {label} ?", "labels": TOPICS},
        lambda index: [name for place, name in enumerate(TOPICS) if index >> place & 1],
    ),
    "regression": ({"kind": "regression", "minimum": 0, "maximum": 12}, lambda index: index % 13),
    "generation": ({"kind": "generation", "max_answer_tokens": 6}, lambda index: WORDS[index % 10]),
    "preference": (
        {"kind": "preference", "first_answer": "left", "second_answer": "right"},
        lambda index: ["first", "second"][index % 2],
    ),
}


def rows_of(kind: str, num: int = 60, seed: int = 0) -> list[dict[str, Any]]:
    """Rows with gold labels."""
    rng = random.Random(seed)
    label_of = KINDS[kind][1]
    rows = []
    for index in range(num):
        text = f"{' '.join(rng.choices(WORDS, k=rng.randint(2, 9)))} {index}"
        row: dict[str, Any] = {"text": text, "gold": label_of(index)}
        if kind == "multiple_choice":
            row["choices"] = list(WORDS[: 2 + index % 3])
        if kind == "preference":
            row["left"], row["right"] = WORDS[index % 10], " ".join(WORDS[(index + 3) % 10 :][:2])
        rows.append(row)
    return rows


def evaluated(folder: Path, model: Path, kind: str, round_: int = 1, **changes: Any) -> Campaign:
    """Return a campaign with a round that is evaluated."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows_of(kind)))
    document: dict[str, Any] = {
        "name": f"use-{kind.replace('_', '-')}",
        "task": {"prompt": "Question: {text}\nAnswer:", "chat_template": "never", **KINDS[kind][0]},
        "data": {
            "folder": str(folder),
            "pool": {"path": "pool.jsonl"},
            "columns": {"label": "gold"},
            "holdout_size": 20,
            "calibration_size": 0 if kind == "generation" else 16,
        },
        "model": {"base": str(model)},
        "adapter": {"rank": 2, "last_layers": 2},
        "acquisition": {"strategy": "random", "batch_size": 2},
        "evaluation": {"bootstrap_samples": 100, "num_samples": 3},
        "tracking": {"enabled": False},
        "resources": {"trunk_cache_gb": 0},
    }
    for section, values in changes.items():
        document[section] = {**document.get(section, {}), **values}
    campaign = Campaign.create(str(folder / "campaign"), checked_config(document, where="campaign.yaml"))
    ingest_pool.run(campaign)
    if round_:
        write_adapter(campaign, round_, 5, folder)
    evaluate_adapter.run(campaign, round_)
    return campaign


@pytest.fixture(scope="session")
def classified(tmp_path_factory: pytest.TempPathFactory, tiny_model_path: Path) -> Campaign:
    """A campaign of classification, to read only."""
    return evaluated(tmp_path_factory.mktemp("classified"), tiny_model_path, "classification")
