"""A tick as the compiled graph runs it, in this process: tasks that know the campaign's URI and what others put out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.entry import run_if_due, score_share
from components.evaluate_adapter.decide import evaluate_if_due
from components.plan.step import ANY_ROUND, Begun, begin_at


@dataclass
class Shown:
    """What the Kubeflow page is given."""

    path: str
    metadata: dict[str, Any] = field(default_factory=dict)


def tick_in_pods(uri: str, folder: Path, round_: int = ANY_ROUND, num_pods: int = 2) -> Begun:
    """Do what the tasks of one tick do, each after those before it.

    Args:
        uri: The campaign.
        folder: Folder for what the Kubeflow page is given.
        round_: The round to look at.
        num_pods: How many pods score.
    """
    begun = begin_at(uri, round_)
    if not begun.work:
        return begun
    run_if_due("ingest_pool", uri)
    run_if_due("train_adapter", uri, begun.round, Shown(str(folder / "adapter")))
    label, shares = evaluate_if_due(
        uri, begun.round, num_pods, Shown(str(folder / "metrics")), Shown(str(folder / "report"))
    )
    if label:
        for share in shares:
            score_share(uri, begun.round, share)
        run_if_due("select_batch", uri, begun.round)
        run_if_due("await_labels", uri, begun.round)
    return begun
