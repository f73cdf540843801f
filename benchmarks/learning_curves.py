"""Learning curves of query strategies on one campaign file, several seeds each.

    python -m benchmarks.learning_curves pipelines/campaigns/trec6.yaml --data FOLDER --campaigns WORK_FOLDER

Every curve is a real campaign under WORK_FOLDER: killed and started again, it goes on. The table is what was measured,
also where a strategy loses to random.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from pathlib import Path
from typing import Any

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.config_file import load_config
from pipelines.inline import run_campaign

RESULTS = Path(__file__).parent / "results"
Point = dict[str, float]


def run_curve(file: Path, data: Path, work: Path, strategy: str, seed: int) -> list[Point]:
    """Run one campaign to its end and return a point per round: labels, accuracy, ECE, NLL."""
    overrides = {
        "data.folder": str(data.resolve()),
        "acquisition.strategy": strategy,
        "seed": str(seed),
        "tracking.enabled": "false",
    }
    config = load_config(file, overrides)
    campaign = Campaign.create(str(work / f"{config.name}-{strategy}-{seed}"), config)
    run_campaign(campaign)
    points = []
    round_ = 0
    while manifest := campaign.manifest(Unit("evaluate_adapter", round_)):
        trained = campaign.manifest(Unit("train_adapter", round_))
        labels = trained.metrics["num_labels"] if trained else 0
        points.append({"labels": labels, **{name: manifest.metrics[name] for name in ("accuracy", "ece", "nll")}})
        round_ += 1
    return points


def area(points: list[Point]) -> float:
    """Return the area under accuracy over labels, divided by the label range (AULC)."""
    total = sum(
        (right["labels"] - left["labels"]) * (right["accuracy"] + left["accuracy"]) / 2
        for left, right in itertools.pairwise(points)
    )
    return total / (points[-1]["labels"] - points[0]["labels"])


def table(curves: dict[str, list[list[Point]]]) -> str:
    """Return a Markdown table: accuracy by labels as mean and range over seeds, AULC, and the last ECE and NLL."""
    labels = [int(point["labels"]) for point in next(iter(curves.values()))[0]]
    head = ["strategy", *(f"{count} labels" for count in labels), "AULC", "last ECE", "last NLL"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for strategy, runs in curves.items():
        cells = [_spread([run[index]["accuracy"] for run in runs]) for index in range(len(labels))]
        cells += [_spread([area(run) for run in runs])]
        cells += [_spread([run[-1][name] for run in runs]) for name in ("ece", "nll")]
        lines.append(f"| {strategy} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    """Run the curves, print the table, and write JSON and Markdown into the results folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, help="campaign file")
    parser.add_argument("--data", type=Path, required=True, help="folder with its data")
    parser.add_argument("--campaigns", type=Path, required=True, help="folder for the campaigns")
    parser.add_argument("--strategies", nargs="+", default=["random", "star"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    curves: dict[str, list[list[Point]]] = {}
    for strategy in options.strategies:
        curves[strategy] = [
            run_curve(options.file, options.data, options.campaigns, strategy, seed) for seed in options.seeds
        ]
    name = options.file.stem
    document: dict[str, Any] = {"file": name, "seeds": options.seeds, "curves": curves}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    command = f"python -m benchmarks.learning_curves {options.file} --data FOLDER --campaigns WORK_FOLDER"
    text = f"# Learning curves: {name}\n\nHoldout accuracy, mean and range over seeds {options.seeds}.\n\n"
    text += f"{table(curves)}\n\nCommand: `{command}`\n"
    (RESULTS / f"{name}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
