"""What is known of a model beside what it needs to predict: how it was measured, and what it was made of.

Written into ``card.json`` beside the model, so that its card can be made where the campaign is out of reach.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from activelora.campaign.campaign import Campaign
from activelora.campaign.held_out import trained_snapshot
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import Label
from activelora.config import CampaignConfig
from activelora.errors import ModelError
from activelora.kinds.registry import make_task
from activelora.redacting import without_credentials

FACTS_NAME = "card.json"
Facts = Mapping[str, Any]


def write_facts(campaign: Campaign, round_: int, folder: Path) -> None:
    """Write what the card of a round's model says into the model's folder."""
    text = json.dumps(facts_of(campaign, round_), indent=1, sort_keys=True, ensure_ascii=False)
    (folder / FACTS_NAME).write_text(text, encoding="utf-8")


def read_facts(folder: Path) -> Facts | None:
    """Return what :func:`write_facts` wrote; None where it wrote nothing.

    Raises:
        ModelError: The file is damaged.
    """
    try:
        found: Facts = json.loads((folder / FACTS_NAME).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        problem = "cannot be read as JSON"
        raise ModelError(problem, where=str(folder / FACTS_NAME), remedy="Remove or restore it.") from None
    return found


def facts_of(campaign: Campaign, round_: int) -> dict[str, Any]:
    """Return how a round's model was measured, on which data, and by whose labels it learned, as JSON."""
    evaluated = campaign.require(Unit("evaluate_adapter", round_))
    document = campaign.read_json(evaluated, "evaluation.json")
    first = campaign.manifest(Unit("evaluate_adapter", 0))
    config, task = campaign.config, make_task(campaign.config.task)
    trained = campaign.require(Unit("train_adapter", round_)) if round_ else None
    counts = _label_counts(campaign, round_)
    return {
        "name": config.name,
        "measured_at": evaluated.finished_at,
        "code_versions": sorted({one.code_version for one in (evaluated, trained) if one is not None}),
        "metrics": dict(document["metrics"]),
        "intervals": dict(document["intervals"]),
        "level": document["confidence_level"],
        "num_holdout": int(evaluated.metrics["num_holdout"]),
        "before_training": dict(first.metrics) if first is not None and round_ else {},
        "scaled": None if document["scaled"] is None else dict(document["scaled"]["metrics"]),
        "per_class": document["per_class"],
        "gates": evaluated.details["gates"],
        "num_labels": 0 if trained is None else int(trained.metrics["num_labels"]),
        "label_counts": task.label_counts(counts),
        "label_source": config.labeling.source,
        "strategy": config.acquisition.strategy,
        "data": _data(config, campaign.require(Unit("ingest_pool"))),
    }


def _label_counts(campaign: Campaign, round_: int) -> Counter[Label]:
    """Return how many items of each label the round learned from; nothing where labels are no longer there."""
    if any(campaign.manifest(Unit("await_labels", earlier)) is None for earlier in range(round_)):
        return Counter()
    return Counter(trained_snapshot(campaign, round_)[0].labels.values())


def _data(config: CampaignConfig, ingest: Manifest) -> list[dict[str, Any]]:
    """Return pool, holdout and calibration split: where from, how many rows, and the digest of what was taken."""
    pool = without_credentials(config.data.pool.path)
    held_out = f"split off {pool}" if config.data.holdout is None else without_credentials(config.data.holdout.path)
    found = []
    for name, start, source in (
        ("pool", "pool/", pool),
        ("holdout", "holdout.", held_out),
        ("calibration", "calibration.", held_out),
    ):
        digests = [entry.sha256 for key, entry in sorted(ingest.files.items()) if key.startswith(start)]
        if digests:
            sha256 = hashlib.sha256("".join(digests).encode()).hexdigest()
            num = int(ingest.metrics[f"num_{name}"])
            found.append({"name": name, "source": source, "num_rows": num, "sha256": sha256})
    return found
