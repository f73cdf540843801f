"""A whole campaign with a tiny random model: seconds, and everything but the accuracy is real."""

from __future__ import annotations

import json
from pathlib import Path

from activelora.config import CampaignConfig
from activelora.rules.file import checked_config

LABELS = ["water", "fire", "red"]
WORDS = ["moon", "river", "play", "earth", "word", "type", "number", "human", "green", "blue"]


def write_pool(folder: Path, num_rows: int = 40) -> Path:
    """Write a labelled pool whose label is a function of its text."""
    path = folder / "pool.jsonl"
    rows = []
    for number in range(num_rows):
        first, second = WORDS[number % 10], WORDS[(number // 10 * 3 + number) % 10]
        rows.append({"text": f"{first} and {second} {number}", "label": LABELS[(number * 7 + number // 3) % 3]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def tiny_config(folder: Path, model_path: Path, **sections: object) -> CampaignConfig:
    """Return settings of a campaign that takes seconds. Writes its pool into the folder."""
    document = {
        "name": "tiny",
        "seed": 3,
        "task": {"prompt": "{text} is", "labels": LABELS, "chat_template": "never"},
        "data": {
            "folder": str(folder),
            "pool": {"path": write_pool(folder).name},
            "holdout_size": 10,
            "shard_rows": 20,
            "known_labels": "ignore",  # the rows' labels are for the tests to answer with
        },
        "model": {"base": str(model_path)},
        "adapter": {"rank": 2},
        "training": {"min_steps": 0, "warmup_fraction": 0.0, "epochs": 1, "batch_size": 4, "learning_rate": 0.01},
        "scoring": {"num_samples": 2},
        "acquisition": {"batch_size": 4, "strategy": "star"},
        "stopping": {"max_rounds": 2},
        "evaluation": {"bootstrap_samples": 100},
        "tracking": {"enabled": False},
        **sections,
    }
    return checked_config(document, where="test")
