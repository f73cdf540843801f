"""How long to train on few labels, and how fast: accuracy, NLL and ECE by steps and learning rate.

    python -m benchmarks.training_length --data FOLDER --sets agnews,sst2,clinc150

Trains SmolLM2-135M-Instruct with LoRA in its last layers on n random labels of the TRAIN part of each set, and measures
on other items of it, so that the defaults of `training` are chosen without a test part. Temperature scaling is
fitted on one half of these and measured on the other. Runs that are written down are not done again, so a long
measurement may be broken off and goes on; `--sets trec6` judges what was chosen.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activelora.campaign.records import Item
from activelora.config import AdapterConfig, ModelConfig, ScoringConfig, TaskConfig, TrainingConfig
from activelora.evaluation.calibration import ece
from activelora.evaluation.temperature import fit_temperature, scale
from activelora.modeling import lora
from activelora.modeling.answer_loss import example
from activelora.modeling.base import BaseModel, load_base
from activelora.modeling.encoding import Encoder
from activelora.modeling.sampling import MergedSamples, SampledPosterior
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.training import Trainer
from activelora.scoring.batch_size import batch_tokens
from activelora.scoring.engine import Engine
from activelora.scoring.predict import Predictor
from benchmarks.label_prior import PROMPTS, WORDS

RESULTS = Path(__file__).parent / "results"
RUNS, PAGE = RESULTS / "training-length.jsonl", RESULTS / "training-length.md"
NUM_INTENTS = 30
CONFIGS = ("5e-4:0:0", "5e-4:60:0.1", "5e-4:120:0.1", "5e-4:200:0.1", "1e-3:60:0.1", "1e-3:120:0.1")
MEASURED = ("accuracy", "nll", "ece", "temperature", "nll_scaled", "ece_scaled", "final_loss", "train_seconds")
Array = NDArray[np.float64]


@dataclass(frozen=True, order=True)
class Run:
    """One training.

    Attributes:
        task: The set.
        labels: n, labels to train on.
        rate: Peak learning rate.
        steps: Optimiser steps; 0 is 5 passes, the default of before.
        warmup: Share of the steps in which the rate rises.
        layers: Last layers that are adapted.
        seed: Of the labels drawn, the adapter and the batches.
        until: The mean loss of a pass, in nats, until which it is trained; `steps` are then the fewest. 0 is none.
        noise: Share of the labels that are replaced by another one, drawn with the seed.
    """

    task: str
    labels: int
    rate: float
    steps: int
    warmup: float
    layers: int
    seed: int
    until: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True)
class Rows:
    """A set's TRAIN part, in a fixed random order.

    Attributes:
        task: The task section.
        names: Names of the labels.
        rows: The rows.
    """

    task: TaskConfig
    names: list[str]
    rows: list[dict[str, Any]]

    @classmethod
    def read(cls, folder: Path, task: str) -> Rows:
        """Read a TRAIN part; of CLINC150, every fifth of its intents."""
        lines = (folder / task / "train.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        names = list(dict.fromkeys(row["label_name"] for row in sorted(rows, key=lambda row: row["label"])))
        own: dict[str, Any] = {}
        if task == "clinc150":
            names, own = sorted(names)[:: len(names) // NUM_INTENTS][:NUM_INTENTS], {"answer": "text"}
        rows = [row for row in rows if row["label_name"] in names]
        rows = [rows[place] for place in np.random.default_rng(7).permutation(len(rows))]
        words = tuple(WORDS.get(name, name).lower().replace("_", " ") for name in names)
        section = {"kind": "classification", "prompt": PROMPTS[task], "labels": words, "chat_template": "never"}
        return cls(TaskConfig.model_validate({**section, "max_prompt_tokens": 112, **own}), names, rows)

    def items(self, rows: Sequence[dict[str, Any]]) -> list[Item]:
        """Return rows as items."""
        return [Item(row["id"], {"text": row["text"]}) for row in rows]

    def labels(self, rows: Sequence[dict[str, Any]]) -> NDArray[np.int64]:
        """Return labels_N."""
        return np.array([self.names.index(row["label_name"]) for row in rows])


def measure(base: BaseModel, rows: Rows, run: Run, num_test: int) -> dict[str, float]:
    """Train once and measure on the first rows, of which none is trained on."""
    log_probs_NC, losses, seconds = answers(base, rows, run, num_test)
    return {
        **said(log_probs_NC, rows.labels(rows.rows[:num_test])),
        "final_loss": float(np.mean(losses[-5:])),
        "train_seconds": seconds,
        "trained_steps": len(losses),
    }


def answers(base: BaseModel, rows: Rows, run: Run, num_test: int) -> tuple[Array, Sequence[float], float]:
    """Train once; return log_probs_NC of the first rows, which are not trained on, the losses and the CPU seconds."""
    test, pool = rows.rows[:num_test], rows.rows[num_test:]
    drawn = np.random.default_rng([run.seed, run.labels]).permutation(len(pool))[: run.labels]
    lessons = [pool[place] for place in drawn]
    encoder = Encoder(base.tokenizer, rows.task)
    encoded = encoder.encode(rows.items(lessons))
    given = with_noise(rows.labels(lessons), len(rows.names), run)
    examples = [example(item, label) for item, label in zip(encoded, given.tolist(), strict=True)]
    adapter = AdapterConfig(last_layers=run.layers)
    length: dict[str, float | None] = (
        {"epochs": 1e-6, "min_steps": run.steps} if run.steps else {"epochs": 5.0, "min_steps": 0}
    )
    length |= {"converged_loss": run.until or None}
    training = TrainingConfig.model_validate({"learning_rate": run.rate, "warmup_fraction": run.warmup, **length})
    adapted = lora.attach(base, adapter, run.seed)
    with lora.attached(adapted):
        begin = time.process_time()
        losses = Trainer(base, PlainTrainee(adapted, adapter.constraint), examples, training, run.seed).run(
            lambda: None
        )
        seconds = time.process_time() - begin
        adapted.eval()
        engine = Engine(
            base, encoder, lora.first_adapted_layer(base.model, adapter), batch_tokens(ScoringConfig(), base)
        )
        predictor = Predictor(engine, SampledPosterior(MergedSamples(adapted, adapter.dropout, run.seed)))
        return predictor.log_probs(rows.items(test), 0, "measuring")[:, 0], losses, seconds


def with_noise(labels_N: NDArray[np.int64], num_labels: int, run: Run) -> NDArray[np.int64]:
    """Return the labels, a share of them replaced by another one."""
    generator = np.random.default_rng([run.seed, run.labels, 1])
    wrong_N = generator.permutation(len(labels_N)) < round(run.noise * len(labels_N))
    other_N = (labels_N + generator.integers(1, num_labels, len(labels_N))) % num_labels
    return np.where(wrong_N, other_N, labels_N)


def said(log_probs_NC: Array, labels_N: NDArray[np.int64]) -> dict[str, float]:
    """Return what the answers are worth, as they are and with a temperature fitted on their first half."""
    half = len(labels_N) // 2
    temperature = fit_temperature(log_probs_NC[:half], labels_N[:half])
    scaled_NC, rest_N = scale(log_probs_NC[half:], temperature), labels_N[half:]
    return {
        "accuracy": float((log_probs_NC.argmax(axis=1) == labels_N).mean()),
        "nll": nll(log_probs_NC, labels_N),
        "ece": float(ece(np.exp(log_probs_NC), labels_N)),
        "temperature": float(temperature),
        "nll_scaled": nll(np.log(scaled_NC), rest_N),
        "ece_scaled": float(ece(scaled_NC, rest_N)),
    }


def nll(log_probs_NC: Array, labels_N: NDArray[np.int64]) -> float:
    """Return the mean negative log-likelihood, in nats."""
    return float(-log_probs_NC[np.arange(len(labels_N)), labels_N].mean())


def done(path: Path = RUNS) -> dict[Run, dict[str, float]]:
    """Return the runs that are written down."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {Run(**row["run"]): row["measured"] for row in rows}


def table(found: dict[Run, dict[str, float]]) -> str:
    """Return the page: a row for each set, number of labels and way of training, the mean over its seeds."""
    groups: dict[tuple[Any, ...], list[dict[str, float]]] = {}
    for run, values in sorted(found.items()):
        groups.setdefault(astuple(replace(run, seed=0)), []).append(values)
    head = ["set", "labels", "rate", "steps", "warm-up", "last layers", "seeds", *MEASURED]
    lines = [_HEAD, f"| {' | '.join(head)} |", f"| {' | '.join(['---'] * len(head))} |"]
    for key, rows in groups.items():
        means = [f"{np.mean([row[name] for row in rows]):.3f}" for name in MEASURED]
        steps = str(key[3] or "5 passes")
        if key[7]:
            steps = f"{np.mean([row['trained_steps'] for row in rows]):.0f}, until {key[7]:g}"
        name = f"{key[0]}, {100 * key[8]:g} % wrong labels" if key[8] else key[0]
        cells = [name, key[1], f"{key[2]:g}", steps, f"{key[4]:g}", key[5], len(rows), *means]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, ""])


_HEAD = """# How long to train on few labels

    python -m benchmarks.training_length --data FOLDER --sets agnews,sst2,clinc150
    python -m benchmarks.training_length --data FOLDER --sets trec6
    python -m benchmarks.training_length --data FOLDER --sets clinc150,trec6,sst2,agnews --labels 150 --seeds 0 \\
      --configs 0.0005:120:0.1,0.0005:240:0.1,0.0005:400:0.1
    python -m benchmarks.training_length --data FOLDER --sets clinc150,trec6,agnews --labels 150,75,25 --seeds 0 \\
      --configs 0.001:60:0.1:0.1,0.001:60:0.1:0.03,0.002:60:0.1:0.1
    python -m benchmarks.training_length --data FOLDER --labels 150,75,25 --seeds 0,1,2 \\
      --configs 0.001:60:0.1:0.1,0.0005:120:0.1
    python -m benchmarks.training_length --data FOLDER --labels 150,75 --seeds 0,1,2 --configs 0.001:60:0.1:0.3
    python -m benchmarks.training_length --data FOLDER --sets trec6 --labels 150,75,25 --seeds 0,1,2 \\
      --configs 0.001:60:0.1:0.3

SmolLM2-135M-Instruct, random labels of the TRAIN parts, measured on 250 other items of them; the mean over seeds. AG
News, SST-2 and thirty intents of CLINC150 choose the default; TREC-6 judges it. `nll_scaled` and `ece_scaled` are after
temperature scaling, on the half that the temperature was not fitted on. Seconds are of one core. "94, until 0.1" is 94
steps in the mean, until the mean loss of a pass was below 0.1 nats. AG News was broken off in the fourth of these.
"""


def runs(options: argparse.Namespace) -> Iterator[Run]:
    """Yield what is asked for, all sets of a seed before the next seed."""
    for seed in map(int, options.seeds.split(",")):
        for task in options.sets.split(","):
            for labels in map(int, options.labels.split(",")):
                for config in options.configs.split(","):
                    rate, steps, warmup, *until = config.split(":")
                    layers, bound = options.last_layers, float(until[0]) if until else 0.0
                    length = float(rate), int(steps), float(warmup)
                    yield Run(task, labels, *length, layers, seed, bound, options.noise)


def main() -> None:
    """Do the runs that are missing, and write each down at once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_length", description="Training length.")
    parser.add_argument("--data", type=Path, required=True, help="folder with TASK/train.jsonl")
    parser.add_argument("--sets", default="agnews,sst2,clinc150", help=", ".join(PROMPTS))
    parser.add_argument("--labels", default="25,75", help="numbers of labels")
    parser.add_argument("--seeds", default="0,1", help="of labels, adapter and batches")
    parser.add_argument(
        "--configs", default=",".join(CONFIGS), help="rate:steps:warm-up[:loss to reach]; 0 steps are 5 passes"
    )
    parser.add_argument("--noise", type=float, default=0.0, help="share of the labels that are wrong")
    parser.add_argument("--last-layers", type=int, default=4, help="layers that are adapted")
    parser.add_argument("--test-items", type=int, default=250, help="items that are measured on")
    options = parser.parse_args()
    base, read = load_base(ModelConfig()), dict[str, Rows]()
    for run in runs(options):
        if run in done():
            continue
        rows = read.setdefault(run.task, Rows.read(options.data, run.task))
        row = {"run": asdict(run), "measured": measure(base, rows, run, options.test_items)}
        with RUNS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)
    PAGE.write_text(table(done()), encoding="utf-8")


if __name__ == "__main__":
    main()
