"""A round's model as a folder: all that predicting needs but the base model. JSON and safetensors, nothing pickled.

``bundle.json`` holds settings, the evaluation's readings and where all came from; ``adapter/`` is what the adapter
method wrote. A folder ``base/`` beside them, where there is one, is the base model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from activelora.campaign.campaign import Campaign
from activelora.campaign.frozen import CAMPAIGN_KEY
from activelora.campaign.keys import check_key
from activelora.campaign.manifest import Unit
from activelora.campaign.migrations import SCHEMA_VERSION, SETTINGS, as_it_was, migrated
from activelora.code_version import code_version
from activelora.config import CampaignConfig
from activelora.config.file import parse_config
from activelora.errors import ModelError, StoreError
from activelora.prediction.base_files import base_note
from activelora.prediction.readings import Readings

BUNDLE_NAME = "bundle.json"
ADAPTER_NAME = "adapter"
BASE_NAME = "base"
BUNDLE_VERSION = 1
"""The schema of ``bundle.json``."""
_SECTIONS = ("name", "seed", "task", "model", "adapter", "training", "scoring", "evaluation")
_DATA = ("columns", "label_numbers", "long_texts")
_LABELING = ("withhold", "redact")
_DAMAGED = "Write it again with `activelora export`, or restore the folder."


@dataclass(frozen=True)
class Bundle:
    """One round's model in a folder.

    Attributes:
        folder: The folder.
        config: The settings that predicting needs; those of pool, labels and cluster are not the campaign's.
        round: The round.
        mask_seed: Seed of the posterior's samples.
        readings: What its evaluation found.
        provenance: ``campaign`` (URI), ``campaign_digest``, ``evaluation_digest``, ``code_version``, ``base`` (id,
            revision, sha256 of all files, and ``files``: that of each; both None where they were not computed).
        files: sha256 of each file of the adapter, by its path in the folder.
    """

    folder: Path
    config: CampaignConfig
    round: int
    mask_seed: int
    readings: Readings
    provenance: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def adapter(self) -> Path | None:
        """The adapter's folder; None in round 0, which is the base model alone."""
        return self.folder / ADAPTER_NAME if self.files else None

    @cached_property
    def digest(self) -> str:
        """Digest of all that predictions depend on, the base model's name among it: equal for equal models."""
        content = {
            "settings": _settings(self.config),
            "round": self.round,
            "seed": self.mask_seed,
            "readings": self.readings.as_document(),
            "files": dict(self.files),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_bundle(campaign: Campaign, round_: int, folder: Path, *, hashes_base: bool = True) -> Bundle:
    """Write a round's model into a folder, which is made if need be.

    Args:
        campaign: The campaign.
        round_: The round; it must be evaluated.
        folder: The folder.
        hashes_base: Whether the base model's weights are read for their digest, as they are on this machine.

    Raises:
        StoreError: The round is not evaluated yet.
    """
    evaluated = campaign.require(Unit("evaluate_adapter", round_))
    readings = Readings.of(campaign.read_json(evaluated, "evaluation.json"))
    folder.mkdir(parents=True, exist_ok=True)
    if round_ > 0:
        campaign.download_folder(campaign.require(Unit("train_adapter", round_)), ADAPTER_NAME, folder / ADAPTER_NAME)
    model = campaign.config.model
    base = base_note(campaign.config) if hashes_base else {"sha256": None, "files": None}
    document = {
        "bundle_version": BUNDLE_VERSION,
        "schema_version": SCHEMA_VERSION,
        "settings": _settings(campaign.config),
        "round": round_,
        "mask_seed": campaign.seed("mask", round_),
        "readings": readings.as_document(),
        "files": {name: _sha256(folder / name) for name in _adapter_files(folder)},
        "provenance": {
            "campaign": campaign.store.uri,
            "campaign_digest": json.loads(campaign.store.read(CAMPAIGN_KEY))["digest"],
            "evaluation_digest": evaluated.digest,
            "code_version": code_version(),
            "base": {"id": model.base, "revision": model.revision, **base},
        },
    }
    (folder / BUNDLE_NAME).write_text(json.dumps(document, indent=1, sort_keys=True), encoding="utf-8")
    return read_bundle(folder)


def read_bundle(folder: Path) -> Bundle:
    """Return the model that a folder holds, its files checked against their digests.

    Raises:
        ModelError: The folder holds none, it is damaged, or a newer version wrote it.
    """
    path = folder / BUNDLE_NAME
    try:
        document = json.loads(path.read_bytes())
        version, schema = int(document["bundle_version"]), int(document["schema_version"])
        if version > BUNDLE_VERSION or schema > SCHEMA_VERSION:
            raise _newer(path, str(document["provenance"]["code_version"]))
        settings = as_it_was(migrated(document["settings"], schema, SETTINGS), schema)
        files = {check_key(str(name)): str(sha256) for name, sha256 in document["files"].items()}
        round_, seed = int(document["round"]), int(document["mask_seed"])
        readings, provenance = Readings.of(document["readings"]), dict(document["provenance"])
    except FileNotFoundError:
        problem = f"the folder holds no model: it has no {BUNDLE_NAME}"
        raise ModelError(problem, where=str(folder), remedy="`activelora export` writes one.") from None
    except (ValueError, KeyError, TypeError, AttributeError, StoreError, OSError) as error:
        raise ModelError(f"cannot be read: {type(error).__name__} {error}", where=str(path), remedy=_DAMAGED) from None
    for name, sha256 in files.items():
        if not (folder / name).is_file() or _sha256(folder / name) != sha256:
            problem = "the file is missing, or is not what was written"
            raise ModelError(problem, where=str(folder / name), remedy=_DAMAGED)
    config = parse_config(settings, where=str(path), is_frozen=True)
    if (folder / BASE_NAME).is_dir():
        model = config.model.model_copy(update={"base": str(folder / BASE_NAME), "revision": None})
        config = config.model_copy(update={"model": model})
    return Bundle(folder, config, round_, seed, readings, provenance, files)


def _settings(config: CampaignConfig) -> dict[str, Any]:
    """Return the settings that predicting needs, as a document that the schema accepts."""
    whole = config.model_dump(mode="json")
    data = {key: whole["data"][key] for key in _DATA}
    return {key: whole[key] for key in _SECTIONS} | {
        "labeling": {key: whole["labeling"][key] for key in _LABELING},  # what a log of requests leaves out
        "data": {"pool": {"path": "-"}, **data},
        "resources": {"trunk_cache_gb": 0},  # these texts are seen once
    }


def _adapter_files(folder: Path) -> Iterator[str]:
    for path in sorted((folder / ADAPTER_NAME).rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _newer(path: Path, version: str) -> ModelError:
    return ModelError(
        f"ActiveLoRA {version} wrote this model, and this is {code_version()}, which is older",
        where=str(path),
        remedy="Upgrade ActiveLoRA to that version or newer.",
    )
