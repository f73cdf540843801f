"""The names of the six steps, the same in folders, functions, logs, tasks, MLflow and the documentation."""

from __future__ import annotations

from typing import Literal

StepName = Literal["ingest_pool", "train_adapter", "evaluate_adapter", "score_pool", "select_batch", "await_labels"]
STEPS: tuple[StepName, ...] = (
    "ingest_pool",
    "train_adapter",
    "evaluate_adapter",
    "score_pool",
    "select_batch",
    "await_labels",
)
