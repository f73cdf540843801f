"""Units of work, and the write-once manifests that say they are done."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from activelora.config.steps import StepName
from activelora.moved import find_names

LOG_NAME = "log.jsonl"
REFRESHES = "pool/refresh-"
"""The folders of the pool's refreshes begin so."""


@dataclass(frozen=True, order=True)
class Unit:
    """One thing to do once: a step of a round, or one shard of it.

    Attributes:
        step: The step's name.
        round: The round. For ingest_pool, which belongs to the campaign, the number of the refresh of the pool; 0 is
            its first reading.
        shard: The pool shard, for score_pool only.
    """

    step: StepName
    round: int = 0
    shard: int | None = None

    @property
    def prefix(self) -> str:
        """The unit's folder in the campaign."""
        if self.step == "ingest_pool":
            return "pool" if self.round == 0 else f"{REFRESHES}{self.round:04d}"
        folder = f"rounds/{self.round:04d}/{self.step}"
        return folder if self.shard is None else f"{folder}/shard-{self.shard:05d}"

    @property
    def manifest_key(self) -> str:
        """The key whose existence means that the unit is done."""
        return f"{self.prefix}/manifest.json"

    @property
    def log_key(self) -> str:
        """The key of the log that its tasks leave, also while they run."""
        return f"{self.prefix}/{LOG_NAME}"

    def __str__(self) -> str:
        """For people: ``score_pool round 3 shard 2``."""
        if self.step == "ingest_pool":
            return self.step if self.round == 0 else f"{self.step} refresh {self.round}"
        shard = "" if self.shard is None else f" shard {self.shard}"
        return f"{self.step} round {self.round}{shard}"


class FileEntry(BaseModel):
    """A file that an attempt wrote: its key in the campaign, and what its content must be."""

    model_config = ConfigDict(frozen=True)
    key: str
    sha256: str
    num_bytes: int


class Manifest(BaseModel):
    """What a finished unit produced. Written once, by the attempt that came first."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")  # plain JSON would turn NaN into null
    step: StepName
    round: int
    shard: int | None
    attempt: str
    files: dict[str, FileEntry]
    """Files by their names within the step, for example ``scores.parquet``."""
    inputs: dict[str, str]
    """Digest of every manifest that this unit read, by unit."""
    seed: int
    schema_version: int = 0
    """Says how it is read; what was written before there was a number is of version 0."""
    code_version: str
    started_at: str
    finished_at: str
    metrics: dict[str, float]
    details: dict[str, Any]

    @property
    def unit(self) -> Unit:
        """The unit that is done."""
        return Unit(self.step, self.round, self.shard)

    @property
    def digest(self) -> str:
        """Digest of what was produced, without who, when and where: equal for equal results."""
        content = {
            "step": self.step,
            "round": self.round,
            "shard": self.shard,
            "files": {name: entry.sha256 for name, entry in sorted(self.files.items())},
            "inputs": dict(sorted(self.inputs.items())),
            "seed": self.seed,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


if not TYPE_CHECKING:  # a checker of types knows the new names only
    __getattr__ = find_names(__name__)
