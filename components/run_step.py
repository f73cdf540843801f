"""A step as a command, for what runs pods without Kubeflow Pipelines.

``python3 -m components.run_step plan --campaign-uri=s3://bucket/campaign --round=-1 --outputs=/tmp/outputs``.
What follows from a step is written as a file for each output: texts as they are, all else as JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from components.entry import run_if_due, score_share

Outputs = Mapping[str, Any]


def main(arguments: list[str] | None = None) -> None:
    """Run a step if it is due, and write its outputs."""
    parser = argparse.ArgumentParser(prog="components.run_step", description="Run one step of a campaign if it is due.")
    parser.add_argument("step", choices=[*_OWN, "ingest_pool", "train_adapter", "select_batch", "await_labels"])
    parser.add_argument("--campaign-uri", required=True)
    parser.add_argument("--round", type=int, default=0)
    parser.add_argument("--num-pods", type=int, default=1, help="how many pods score at most")
    parser.add_argument("--share", help="first and last shard to score: 0-249")
    parser.add_argument("--status", default="", help="Argo's word for how a workflow ended")
    parser.add_argument("--failures", default="", help="Argo's list of what failed in it")
    parser.add_argument("--outputs", type=Path, help="folder for a file with each output")
    chosen = parser.parse_args(arguments)
    if chosen.step == "score_pool" and chosen.share is None:
        parser.error("score_pool needs --share")
    if chosen.step in _OWN:
        outputs = _OWN[chosen.step](chosen)
    else:
        outputs = {}
        run_if_due(chosen.step, chosen.campaign_uri, chosen.round)
    if chosen.outputs is not None:
        write_outputs(chosen.outputs, outputs)


def write_outputs(folder: Path, outputs: Outputs) -> None:
    """Write a file for each output into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in outputs.items():
        text = value if isinstance(value, str) else json.dumps(value)
        (folder / name).write_text(text, encoding="utf-8")


def _plan(chosen: argparse.Namespace) -> Outputs:
    from components.plan.step import begin_at

    return begin_at(chosen.campaign_uri, chosen.round)._asdict()


def _evaluate(chosen: argparse.Namespace) -> Outputs:
    from components.evaluate_adapter.decide import evaluate_if_due

    label, shares = evaluate_if_due(chosen.campaign_uri, chosen.round, chosen.num_pods)
    return {"label": label, "shares": shares}


def _score(chosen: argparse.Namespace) -> Outputs:
    score_share(chosen.campaign_uri, chosen.round, chosen.share)
    return {}


def _tell(chosen: argparse.Namespace) -> Outputs:
    from components.tell_the_end.workflow import tell_workflow_at

    tell_workflow_at(chosen.campaign_uri, chosen.status, chosen.failures)
    return {}


_OWN: dict[str, Callable[[argparse.Namespace], Outputs]] = {
    "plan": _plan,
    "evaluate_adapter": _evaluate,
    "score_pool": _score,
    "tell_the_end": _tell,
}
"""Steps that take or put out more than others."""

if __name__ == "__main__":
    main()
