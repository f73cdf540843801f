"""How many steps Bayesian adapters need until their answers are worth as much as plain LoRA's: NLL by steps.

    python -m benchmarks.bayesian_steps --data FOLDER

Trains SmolLM2-135M-Instruct with each adapter method on the same random labels of the TRAIN part of each set, and
measures on other items of it, a method with a posterior by the mean of its samples: after numbers of steps, and trained
as by default (`--steps 0`). From it comes what `check` says of a method. Runs that are written
down are not done again, so a long measurement may be broken off and goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from activelora.config import CampaignConfig, ModelConfig
from activelora.modeling.answer_loss import example
from activelora.modeling.base import BaseModel, load_base
from activelora.modeling.encoding import EncodedItem, Encoder
from activelora.modeling.methods.registry import get_method
from activelora.modeling.posterior import Trainee
from activelora.modeling.training import Trainer
from activelora.scoring.predict import Predictor
from activelora.seeding import derive_seed
from benchmarks.label_prior import PROMPTS
from benchmarks.training_length import Rows, said

RESULTS = Path(__file__).parent / "results"
RUNS, PAGE = RESULTS / "bayesian-steps.jsonl", RESULTS / "bayesian-steps.md"
PLAIN = "lora"
ARMS: Mapping[str, dict[str, Any]] = {
    PLAIN: {},
    "blob": {"method": "blob"},
    "blob_joint": {"method": "blob", "blob": {"kl_learning_rate": None, "kl_weight": 1e-3}},
    "c_lora": {"method": "c_lora"},
    "tfb": {"method": "tfb"},
}
"""Row of the table → settings of `adapter` (`blob_joint`: one optimiser for all, as in 0.1); others are defaults."""
PLAIN_STEPS = 120
"""The steps of plain LoRA that other numbers of steps are compared with."""
BY_STEPS: Mapping[str, Any] = {"epochs": 1e-6, "converged_loss": None, "learning_rate": 5e-4}
"""Settings of `training` where steps are a number."""
MEASURED = ("accuracy", "nll", "ece", "nll_scaled", "ece_scaled", "final_loss", "seconds")


@dataclass(frozen=True, order=True)
class Run:
    """One training.

    Attributes:
        task: The set.
        arm: Of :data:`ARMS`.
        labels: n, labels to train on.
        steps: Optimiser steps; 0 trains as by default, until the labels are learned.
        layers: Last layers that are adapted.
        seed: Of the labels drawn, the adapter, the batches and the samples.
    """

    task: str
    arm: str
    labels: int
    steps: int
    layers: int
    seed: int

    def config(self, rows: Rows) -> CampaignConfig:
        """Return a campaign's settings for it."""
        document = {
            "name": "steps",
            "seed": self.seed,
            "task": rows.task.model_dump(),
            "data": {"pool": {"path": "nowhere.jsonl"}},
            "adapter": {"last_layers": self.layers, **ARMS[self.arm]},
            "training": {**BY_STEPS, "min_steps": self.steps} if self.steps else {},
        }
        return CampaignConfig.model_validate(document)


@dataclass(frozen=True)
class Job:
    """A training without a campaign: see :class:`activelora.modeling.posterior.FitJob`."""

    base: BaseModel
    config: CampaignConfig
    items: Sequence[EncodedItem]
    labels: Sequence[int]
    folder: Path
    previous: Path | None = None

    def seed(self, name: str, *parts: str | int) -> int:
        """Return the seed of a named draw."""
        return derive_seed(self.config.seed, name, *parts)

    def among(self, indices: Sequence[int]) -> Job:
        """Return the job on some of its items."""
        items = [self.items[index] for index in indices]
        return replace(self, items=items, labels=[self.labels[index] for index in indices])

    def train(self, trainee: Trainee, seed: int, name: str = "") -> list[float]:
        """Train to the last step."""
        examples = [example(item, label) for item, label in zip(self.items, self.labels, strict=True)]
        return Trainer(self.base, trainee, examples, self.config.training, seed).run(lambda: None)


def measure(base: BaseModel, rows: Rows, run: Run, num_test: int) -> dict[str, float]:
    """Train once and measure on the first rows, of which none is trained on."""
    test, pool = rows.rows[:num_test], rows.rows[num_test:]
    drawn = np.random.default_rng([run.seed, run.labels]).permutation(len(pool))[: run.labels]
    lessons = [pool[place] for place in drawn]
    config = run.config(rows)
    encoded = Encoder(base.tokenizer, config.task).encode(rows.items(lessons))
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        job = Job(base, config, encoded, rows.labels(lessons).tolist(), Path(folder))
        losses = get_method(config.adapter.method).fit(job).losses
        seconds = time.process_time() - begin
        with Predictor.of(config, Path(folder), run.seed, base) as predictor:
            log_probs_NKC = predictor.log_probs(rows.items(test), config.evaluation.num_samples, "measuring")
    log_probs_NC = np.logaddexp.reduce(log_probs_NKC, axis=1) - np.log(log_probs_NKC.shape[1])
    values = said(log_probs_NC, rows.labels(test))
    return {**values, "trained_steps": len(losses), "final_loss": float(np.mean(losses[-5:])), "seconds": seconds}


def enough(found: Mapping[Run, Mapping[str, float]], arm: str, name: str = "nll") -> int | None:
    """Return the fewest steps from which on an arm is, in the mean over sets and seeds, no worse than plain LoRA.

    Plain LoRA is that of :data:`PLAIN_STEPS`, on the same labels. Sets and seeds count that both have.

    Args:
        found: What was measured.
        arm: Of :data:`ARMS`.
        name: Which of :data:`MEASURED`, smaller is better.
    """
    differences: dict[int, list[float]] = {}
    for run, values in found.items():
        plain = found.get(replace(run, arm=PLAIN, steps=PLAIN_STEPS))
        if run.arm == arm and run.steps and plain is not None:
            differences.setdefault(run.steps, []).append(values[name] - plain[name])
    enough_steps = None
    for steps in sorted(differences, reverse=True):
        if np.mean(differences[steps]) > 0:
            break
        enough_steps = steps
    return enough_steps


def done(path: Path = RUNS) -> dict[Run, dict[str, float]]:
    """Return the runs that are written down."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {Run(**row["run"]): row["measured"] for row in rows}


def page(found: dict[Run, dict[str, float]]) -> str:
    """Return the page: what is enough, and a row for each set, arm and number of steps, the mean over seeds."""
    groups: dict[tuple[Any, ...], list[dict[str, float]]] = {}
    for run, values in sorted(found.items()):
        groups.setdefault(astuple(run)[:-1], []).append(values)
    head = ["set", "adapter", "labels", "steps", "last layers", "seeds", *MEASURED]
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join(['---'] * len(head))} |"]
    for key, rows in groups.items():
        means = [f"{np.mean([row[name] for row in rows]):.3f}" for name in MEASURED]
        steps = key[3] or f"{np.mean([row['trained_steps'] for row in rows]):.0f}, until learned"
        lines.append(f"| {' | '.join(map(str, [*key[:3], steps, *key[4:], len(rows), *means]))} |")
    most = max((run.steps for run in found), default=0)
    said_of = []
    for arm in ARMS:
        if arm != PLAIN and any(run.arm == arm for run in found):
            for name, what in (("nll", "as it is"), ("nll_scaled", "temperature-scaled")):
                steps = enough(found, arm, name)
                said_of.append(f"- `{arm}`, {what}: {f'{steps} steps' if steps else f'not within {most} steps'}")
    return "\n".join([_HEAD, *said_of, "", *lines, ""])


_HEAD = """# How many steps Bayesian adapters need

    python -m benchmarks.bayesian_steps --data FOLDER
    python -m benchmarks.bayesian_steps --data FOLDER --steps 0 --seeds 0,1 --arms lora,blob,c_lora,tfb

SmolLM2-135M-Instruct, the same random labels of the TRAIN parts for every adapter, measured on 250 other items of them;
the mean over seeds. Methods with a posterior answer with the mean of their samples. `nll_scaled` and `ece_scaled` are
after temperature scaling, on the half that the temperature was not fitted on. Seconds are of one core.

"75, until learned" is 75 steps in the mean, trained as by default. Numbers of steps are at a rate of 5e-4.

Fewest steps from which on the NLL is no worse than plain LoRA's after 120, in the mean over sets and seeds:
"""


def runs(options: argparse.Namespace) -> Iterator[Run]:
    """Yield what is asked for, all of a seed before the next seed."""
    for seed in map(int, options.seeds.split(",")):
        for steps in map(int, options.steps.split(",")):
            for arm in options.arms.split(","):
                for task in options.sets.split(","):
                    yield Run(task, arm, options.labels, steps, options.last_layers, seed)


def main() -> None:
    """Do the runs that are missing, and write each down at once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bayesian_steps", description="Steps and posteriors.")
    parser.add_argument("--data", type=Path, required=True, help="folder with TASK/train.jsonl")
    parser.add_argument("--sets", default="agnews,trec6", help=", ".join(PROMPTS))
    parser.add_argument("--arms", default=",".join(ARMS), help=", ".join(ARMS))
    parser.add_argument("--labels", type=int, default=50, help="number of labels")
    parser.add_argument("--seeds", default="0", help="of labels, adapter, batches and samples")
    parser.add_argument(
        "--steps", default="0,120,480,240,60", help="numbers of steps, in this order; 0 is as by default"
    )
    parser.add_argument("--last-layers", type=int, default=4, help="layers that are adapted")
    parser.add_argument("--test-items", type=int, default=250, help="items that are measured on")
    parser.add_argument("--results", type=Path, default=RUNS, help="file of the runs; the page lies beside it")
    options = parser.parse_args()
    base, read = load_base(ModelConfig()), dict[str, Rows]()
    for run in runs(options):
        if run in done(options.results):
            continue
        rows = read.setdefault(run.task, Rows.read(options.data, run.task))
        row = {"run": asdict(run), "measured": measure(base, rows, run, options.test_items)}
        with options.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)
    options.results.with_suffix(".md").write_text(page(done(options.results)), encoding="utf-8")


if __name__ == "__main__":
    main()
