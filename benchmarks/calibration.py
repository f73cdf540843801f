"""Calibration of the adapter methods on one campaign file: the same labels, drawn at random, for every method.

    python -m benchmarks.calibration pipelines/campaigns/trec6.yaml --data FOLDER --campaigns WORK_FOLDER

Every row is a real campaign of one round under WORK_FOLDER: killed and started again, it goes on. Each is measured as
it is, and again after temperature scaling on a calibration split. The table is what was measured, whoever wins. With
`--methods` the other rows are kept from the last results, if they were measured in the same way.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.rules.file import load_config
from pipelines.engines.inline import run_campaign

RESULTS = Path(__file__).parent / "results"
SIZES = ("seeds", "labels", "holdout", "calibration", "samples", "set")
METRICS = ("accuracy", "ece", "ece_scaled", "nll", "nll_scaled")
STRONG = "30"
METHODS: dict[str, dict[str, str]] = {
    "LoRA": {"adapter.constraint.form": "none", "evaluation.num_samples": "0"},
    "LoRA + MC dropout": {"adapter.constraint.form": "none"},
    "STAR (β 0.5)": {},
    f"STAR (β {STRONG})": {"adapter.constraint.strength": STRONG},
    "ensemble": {"adapter.method": "ensemble", "adapter.constraint.form": "none"},
    "C-LoRA": {"adapter.method": "c_lora", "adapter.constraint.form": "none"},
    "BLoB": {"adapter.method": "blob", "adapter.constraint.form": "none"},
    "Laplace": {"adapter.method": "laplace", "adapter.constraint.form": "none"},
    "Laplace (evidence)": {
        "adapter.method": "laplace",
        "adapter.constraint.form": "none",
        "adapter.laplace.prior_from": "evidence",
    },
}
"""Row of the table → settings. Samples are averaged in the prediction unless `evaluation.num_samples` is 0."""


def measure(file: Path, options: argparse.Namespace, settings: Mapping[str, str], name: str) -> dict[str, float]:
    """Run one campaign of one round and return its last evaluation's metrics and what it took."""
    overrides = {
        "data.folder": str(options.data.resolve()),
        "data.calibration_size": str(options.calibration),
        # The temperature is fitted on the whole split.
        "evaluation.conformal.method": "none",
        "evaluation.abstention.max_risk": "null",
        "data.holdout.limit": str(options.holdout + options.calibration),
        "acquisition.strategy": "random",
        "acquisition.batch_size": str(options.labels),
        "stopping.max_rounds": "1",
        "evaluation.num_samples": str(options.samples),
        "tracking.enabled": "false",
        **dict(setting.split("=", 1) for setting in options.set),
        **settings,
    }
    config = load_config(file, overrides)
    campaign = Campaign.create(str(options.campaigns / f"{config.name}-{name}"), config)
    run_campaign(campaign)
    trained, evaluated = (campaign.require(Unit(step, 1)) for step in ("train_adapter", "evaluate_adapter"))
    metrics = {metric: evaluated.metrics[metric] for metric in METRICS}
    return {**metrics, "train_seconds": trained.metrics["seconds"], "predict_seconds": evaluated.metrics["seconds"]}


def table(rows: Mapping[str, list[dict[str, float]]]) -> str:
    """Return a Markdown table: mean and range over seeds, and the cost as a ratio to the first row's."""
    head = ["method", "accuracy", "ECE", "ECE, scaled", "NLL", "NLL, scaled", "training ×", "prediction ×"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    first = next(iter(rows.values()))
    for name, runs in rows.items():
        cells = [_spread([run[metric] for run in runs]) for metric in METRICS]
        for cost in ("train_seconds", "predict_seconds"):
            cells.append(
                f"{statistics.mean(run[cost] / base[cost] for run, base in zip(runs, first, strict=True)):.1f}"
            )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, help="campaign file")
    parser.add_argument("--data", type=Path, required=True, help="folder with its data")
    parser.add_argument("--campaigns", type=Path, required=True, help="folder for the campaigns")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--holdout", type=int, default=300)
    parser.add_argument("--calibration", type=int, default=100)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings for every row")
    parser.add_argument("--note", default="", help="what the reader should know of this run, for the Markdown")
    return parser.parse_args()


def kept(document: Mapping[str, Any], path: Path) -> dict[str, list[dict[str, float]]]:
    """Return the rows of the last results where they were measured in the same way, for methods not run again."""
    last = json.loads(path.read_text()) if path.exists() else {}
    same = all(last.get(name, []) == value for name, value in document.items())
    return dict(last["rows"]) if same else {}


def flags(sizes: Mapping[str, Any]) -> str:
    """Return the sizes as the command line has them."""
    given = {name: value if isinstance(value, list) else [value] for name, value in sizes.items()}
    return " ".join(f"--{name} {' '.join(map(str, values))}" for name, values in given.items() if values)


def main() -> None:
    """Run the campaigns, print the table, and write JSON and Markdown into the results folder."""
    options = _options()
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in options.methods}
    for seed in options.seeds:
        for number, name in enumerate(METHODS):
            if name in measured:
                settings = {**METHODS[name], "seed": str(seed)}
                measured[name].append(measure(options.file, options, settings, f"{number}-{seed}"))
                print(f"{name}, seed {seed}: {measured[name][-1]}", flush=True)
    task = options.file.stem
    sizes = {name: getattr(options, name) for name in SIZES}
    document = {"file": task, **sizes}
    rows = kept(document, RESULTS / f"calibration-{task}.json") | measured
    rows = {name: rows[name] for name in METHODS if name in rows}
    command = f"python -m benchmarks.calibration {options.file} --data FOLDER --campaigns WORK_FOLDER {flags(sizes)}"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"calibration-{task}.json").write_text(json.dumps({**document, "rows": rows}, indent=1) + "\n")
    text = (
        f"# Calibration: {task}\n\n{options.labels} labels drawn at random, {options.holdout} held-out items, "
        f"temperature fitted on {options.calibration} others, K = {options.samples} samples; seeds "
        f"{options.seeds}: mean and range. Costs are wall-clock ratios to the first row, which predicts without "
        "samples: they are right only where nothing else ran on the machine.\n\n"
        f"{table(rows)}\n\n{options.note}\n\nCommand: `{command}`\n"
    )
    (RESULTS / f"calibration-{task}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
