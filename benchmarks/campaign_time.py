"""A whole campaign with two builds, in turn: CPU time and accuracy of today's and another's.

    git worktree add ../other COMMIT
    python -m benchmarks.campaign_time --other ../other --data FOLDER

Each side runs its own ``pipelines/campaigns/trec6.yaml`` in processes of its own, with an empty cache of trunk states,
one thread. ``--set`` holds for both, ``--own`` for today's build alone, for example the training length; both may be
given several times. The page has a row for each pair of sides.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from activelora.modeling.builtin import cache_folder

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).parent / "results" / "campaign-time.md"


@dataclass(frozen=True)
class Side:
    """One build's campaign.

    Attributes:
        cpu_seconds: Of all its processes.
        accuracy: After the last round, on the holdout.
        steps: Optimiser steps of all rounds.
    """

    cpu_seconds: float
    accuracy: float
    steps: int


def run_side(root: Path, data: Path, settings: list[str]) -> Side:
    """Run a campaign with the build of a folder, and return what it took.

    Args:
        root: Folder of the build.
        data: Folder with TREC-6.
        settings: ``key=value`` each.
    """
    with tempfile.TemporaryDirectory() as folder:
        cache, campaign = Path(folder, "cache"), Path(folder, "campaign")
        shutil.copytree(cache_folder() / "models", cache / "models", symlinks=True)
        environment = {**os.environ, "PYTHONPATH": str(root), "ACTIVELORA_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "pipelines.cli", "run", str(root / "pipelines/campaigns/trec6.yaml")]
        command += ["--data", str(data.resolve()), "--campaign", str(campaign), "--set", "tracking.enabled=false"]
        for setting in settings:
            command += ["--set", setting]
        before = _children_seconds()
        subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        seconds = _children_seconds() - before
        metrics: dict[str, dict[int, dict[str, float]]] = {}
        for path in campaign.rglob("manifest.json"):
            manifest = json.loads(path.read_text(encoding="utf-8"))
            metrics.setdefault(manifest["step"], {})[manifest.get("round") or 0] = manifest["metrics"]
        measured, trained = metrics["evaluate_adapter"], metrics["train_adapter"]
        steps = sum(int(found["num_steps"]) for found in trained.values())
        return Side(seconds, measured[max(measured)]["accuracy"], steps)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def page(pairs: list[tuple[Side, Side]], commit: str, settings: list[str], own: list[str]) -> str:
    """Return the results as Markdown.

    Args:
        pairs: Today's and the other's, one pair a repetition.
        commit: The other build.
        settings: Of both.
        own: Of today's alone.
    """
    told = [f"`{setting}`" for setting in settings] + [f"`{setting}` for today's build" for setting in own]
    lines = [
        f"## {', '.join(told) or 'as the file stands'}",
        "",
        f"| | CPU s, today | CPU s, {commit} | ratio | steps | accuracy |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for number, (ours, other) in enumerate(pairs, 1):
        lines.append(
            f"| {number} | {ours.cpu_seconds:.0f} | {other.cpu_seconds:.0f} | "
            f"{ours.cpu_seconds / other.cpu_seconds:.2f} | {ours.steps}, {other.steps} | "
            f"{ours.accuracy:.3f}, {other.accuracy:.3f} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    """Run both sides in turn, and add the rows to the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.campaign_time", description="A campaign, two builds.")
    parser.add_argument("--other", type=Path, required=True, help="folder of the other build")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl and test.jsonl of TREC-6")
    parser.add_argument("--repetitions", type=int, default=1, help="pairs of campaigns")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="key=value for both")
    parser.add_argument("--own", action="append", default=[], help="key=value for today's build alone")
    options = parser.parse_args()
    commit = subprocess.run(
        ["git", "-C", str(options.other), "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    pairs = []
    for _ in range(options.repetitions):
        ours = run_side(ROOT, options.data, [*options.settings, *options.own])
        other = run_side(options.other.resolve(), options.data, options.settings)
        pairs.append((ours, other))
        print(ours, other, f"ratio {ours.cpu_seconds / other.cpu_seconds:.2f}", flush=True)
    begin = PAGE.read_text(encoding="utf-8") if PAGE.exists() else _HEAD
    PAGE.write_text(f"{begin}\n{page(pairs, commit, options.settings, options.own)}", encoding="utf-8")


_HEAD = """# A whole campaign, side by side with an older build

    python -m benchmarks.campaign_time --other FOLDER --data FOLDER

TREC-6 as its example file runs it (STAR, adapters in the last 10 of 30 layers, 600 questions, 500 in the holdout),
SmolLM2-135M, CPU seconds of one thread, both sides in turn in one run. Pairs of values are today's and the other's.
"""


if __name__ == "__main__":
    main()
