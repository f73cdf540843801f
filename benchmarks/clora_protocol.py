"""The six-task C-LoRA protocol in two forms that are never compared: as published, and clean.

    python -m benchmarks.clora_protocol clean --data FOLDER --model MODEL --results FOLDER

`legacy` repeats what the published code does, so that a number can stand beside the papers'. `clean` is what to
believe. :func:`differences` says what separates them. A table holds results of one protocol alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from activelora.config import ModelConfig
from activelora.errors import ConfigError
from benchmarks.six_tasks import FOLDERS

METHODS = ("c_lora", "lora")


@dataclass(frozen=True)
class Protocol:
    """How the six tasks are trained on and measured.

    Attributes:
        name: `legacy` or `clean`.
        prompts: Whose prompts, answer tokens and softmax.
        test: The split that is reported.
        held_out: Share of the training rows that is not trained on.
        held_out_use: What those rows are for.
        model: Which step's weights are reported.
        temperature: Where in the prediction the temperature is applied.
        likelihood_scale: What the published code multiplies the likelihood by, by task.
        last_batch: Whether test rows that fill no batch are counted.
    """

    name: str
    prompts: str
    test: str
    held_out: float
    held_out_use: str
    model: str
    temperature: str
    likelihood_scale: dict[str, float]
    last_batch: str

    @property
    def is_legacy(self) -> bool:
        """Whether this is the published code's."""
        return self.name == "legacy"


LEGACY = Protocol(
    name="legacy",
    prompts="published, with swapped letters, five letters for ARC, True for no (benchmarks/six_tasks.py)",
    test="the validation split, of every task",
    held_out=0.2,
    held_out_use="twice: it chooses the step and fits the temperature",
    model="the step with the lowest (1 - accuracy) · ECE on the held-out rows",
    temperature="fitted on the posterior mean, applied inside each sample's softmax",
    likelihood_scale={"WG-S": 2.0, "WG-M": 4.0, "OBQA": 2.0, "BoolQ": 2.0},
    last_batch="left out",
)
CLEAN = Protocol(
    name="clean",
    prompts="one softmax over the item's own choices",
    test="the test split where its labels are public (ARC, OBQA), else the validation split",
    held_out=0.1,
    held_out_use="once: it fits the temperature; WinoGrande's twins stay together",
    model="the last step's",
    temperature="fitted on, and applied to, the very distribution that is reported",
    likelihood_scale={},
    last_batch="counted",
)
PROTOCOLS = {protocol.name: protocol for protocol in (LEGACY, CLEAN)}
NOT_REPEATED = (
    "AdamW's schedule sized for 5,000 steps and stopped at 1,500 (here: sized for the steps that are taken)",
    "training rows in file order (here: shuffled)",
    "8-bit base weights",
    "an adapted output head for plain LoRA",
)
"""What `legacy` leaves out of the published code."""


def differences() -> str:
    """Return a Markdown table of what separates the protocols."""
    lines = ["| | legacy | clean |", "| --- | --- | --- |"]
    for field in fields(Protocol):
        left, right = getattr(LEGACY, field.name), getattr(CLEAN, field.name)
        lines.append(f"| {field.name.replace('_', ' ')} | {left} | {right} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class Result:
    """One row of measurements. ECE with 15 bins; NLL in nats; `scaled_` is after temperature scaling.

    `seconds` are those of training, once, and of the predictions with this number of samples.
    """

    protocol: str
    task: str
    method: str
    model: str
    seed: int
    num_samples: int
    num_train: int
    num_test: int
    num_steps: int
    accuracy: float
    ece: float
    nll: float
    scaled_ece: float
    scaled_nll: float
    seconds: float


def table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table.

    Raises:
        ConfigError: They are of both protocols: the columns would have the same names and mean different things.
    """
    if len(names := sorted({result.protocol for result in results})) > 1:
        raise ConfigError(
            f"results of the protocols {' and '.join(names)} do not belong in one table",
            where="benchmarks.clora_protocol.table",
            remedy="Make one table for each.",
        )
    columns = [field.name for field in fields(Result)]
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for result in results:
        cells = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in asdict(result).values()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run tasks under one protocol, print the table and write JSON beside it."""
    options = _parser().parse_args(arguments)
    from benchmarks.six_task_runs import Limits, read_data, run_task, settings  # torch: not for --help

    protocol = PROTOCOLS[options.protocol]
    results = _read(options.results, protocol)
    limits = Limits(options.train, options.test, options.steps)
    for task in options.tasks:
        for seed in options.seeds:
            data = read_data(protocol, task, options.data, seed, limits)
            for method in options.methods:
                numbers = options.samples if method == "c_lora" else [0]  # no dropout, so LoRA has no samples
                sizes = (len(data.train), len(data.test), options.steps)
                done = {
                    result.num_samples
                    for result in results
                    if _run_of(result) == (task, method, options.model, seed, *sizes)
                }
                if not done.issuperset(numbers):
                    config = settings(protocol, task, method, options.model, options.steps)
                    results += run_task(protocol, task, config, data, seed, sorted(set(numbers) - done))
                    _write(options.results, protocol, results)
    print(table(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="The six-task C-LoRA protocol. Started again with the same folder for results, it goes on.",
        epilog=differences(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("protocol", choices=sorted(PROTOCOLS))
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder per task")
    parser.add_argument("--results", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", default=ModelConfig().base)
    parser.add_argument("--tasks", nargs="+", choices=list(FOLDERS), default=list(FOLDERS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--samples", nargs="+", type=int, default=[0, 10], help="M; 0 is the posterior mean")
    parser.add_argument("--steps", type=_positive, default=1500)
    parser.add_argument("--train", type=int, help="at most this many training rows")
    parser.add_argument("--test", type=int, help="at most this many test rows")
    return parser


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def _run_of(result: Result) -> tuple[str | int, ...]:
    return result.task, result.method, result.model, result.seed, result.num_train, result.num_test, result.num_steps


def _read(folder: Path, protocol: Protocol) -> list[Result]:
    path = folder / f"clora-{protocol.name}.json"
    if not path.exists():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["protocol"] != asdict(protocol):
        raise ConfigError(
            f"was measured under another form of `{protocol.name}`",
            where=str(path),
            remedy="Give another folder with --results.",
        )
    return [Result(**result) for result in document["results"]]


def _write(folder: Path, protocol: Protocol, results: Sequence[Result]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {"protocol": asdict(protocol), "results": [asdict(result) for result in results]}
    partial = folder / f".{protocol.name}.partial"
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / f"clora-{protocol.name}.json")


if __name__ == "__main__":
    main()
