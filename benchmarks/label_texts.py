"""How a label of several tokens gets its score, where first tokens cannot tell labels apart (CLINC150's intents).

    python -m benchmarks.label_texts --data FOLDER

Three readings of the same words, each of the adapter that learned what it reads and of the model without one. `mean` is
the length-normalised log-likelihood of a label's words, `sum` the log-likelihood of all of them (the chain rule),
`told apart` the sum over the tokens that it takes to tell a label from every other one: what `answer: text` does. All
of it plainly: each label of each item is a row of its own.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from activelora.config import AdapterConfig, ModelConfig, TrainingConfig
from activelora.evaluation import classification_metrics as metrics
from activelora.evaluation.calibration import ece
from activelora.modeling import lora
from activelora.modeling.answer_loss import Example
from activelora.modeling.answer_paths import distinct_beginnings, num_run, with_ends
from activelora.modeling.base import BaseModel, load_base
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.training import Trainer
from activelora.progress import track

RESULT = Path(__file__).parent / "results" / "label-texts.md"
ADAPTER = AdapterConfig(last_layers=4)
TRAINING = TrainingConfig(learning_rate=2e-3, warmup_fraction=0.1, epochs=5)
Codes = list[tuple[int, ...]]
Row = dict[str, Any]


class Task:
    """Some of the intents, drawn by the seed.

    Args:
        base: The model.
        folder: Where train.jsonl and test.jsonl are.
        options: How many labels and items, and the seed.
    """

    def __init__(self, base: BaseModel, folder: Path, options: argparse.Namespace) -> None:
        rng = random.Random(options.seed)
        rows = {split: _read(folder / f"{split}.jsonl") for split in ("train", "test")}
        names = sorted({row["label_name"] for row in rows["train"]})
        self.names = sorted(rng.sample(names, options.labels))
        self.items: dict[str, list[tuple[tuple[int, ...], int]]] = {}
        for split, num in (("train", options.labelled), ("test", options.test)):
            mine = [row for row in rows[split] if row["label_name"] in self.names]
            drawn = rng.sample(mine, num)
            ids = [tuple(base.tokenizer(f"Request: {row['text']}\nIntent:")["input_ids"]) for row in drawn]
            places = [self.names.index(row["label_name"]) for row in drawn]
            self.items[split] = list(zip(ids, places, strict=True))
        words = [f" {name.replace('_', ' ')}" for name in self.names]
        self.words: Codes = [tuple(base.tokenizer(word, add_special_tokens=False)["input_ids"]) for word in words]
        ended = with_ends(self.words, base.tokenizer.eos_token_id)
        if ended is None:
            raise ValueError(f"{base.name} has no end token")
        self.whole: Codes = list(ended)
        self.distinct_beginnings: Codes = list(distinct_beginnings(ended))
        self.labels_N = np.array([label for _, label in self.items["test"]], dtype=np.int64)


def _read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def readings(base: BaseModel, task: Task) -> dict[str, NDArray[np.float64]]:
    """Return probs_NC of the test items under each reading, by one row a label, padded on the right."""
    scores: dict[str, list[list[float]]] = {"mean": [], "sum": [], "told apart": []}
    for prompt, _ in track(task.items["test"], "reading labels", len(task.items["test"])):
        rows = [prompt + code for code in task.whole]
        ids_CT = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        for row, ids in zip(ids_CT, rows, strict=True):
            row[: len(ids)] = torch.tensor(ids)
        with torch.no_grad():
            log_probs_CTV = base.model(input_ids=ids_CT).logits[:, len(prompt) - 1 :].float().log_softmax(dim=-1)
        found = [
            [float(log_probs_TV[step, token]) for step, token in enumerate(code)]
            for log_probs_TV, code in zip(log_probs_CTV, task.whole, strict=True)
        ]
        scores["mean"].append(_each(np.mean, found, task.words))
        scores["sum"].append(_each(np.sum, found, task.whole))
        scores["told apart"].append(_each(np.sum, found, task.distinct_beginnings))
    return {name: _softmax(np.array(scores_NC)) for name, scores_NC in scores.items()}


def _each(reduce: Any, found: Sequence[Sequence[float]], codes: Codes) -> list[float]:
    return [float(reduce(log_probs[: len(code)])) for log_probs, code in zip(found, codes, strict=True)]


def _softmax(scores_NC: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(scores_NC - np.logaddexp.reduce(scores_NC, axis=1, keepdims=True)), dtype=np.float64)


def learn(base: BaseModel, task: Task, codes: Codes, seed: int) -> dict[str, NDArray[np.float64]]:
    """Train an adapter on these tokens of the labels, and return :func:`readings` with it."""
    adapted = lora.attach(base, ADAPTER, seed=seed)
    with lora.attached(adapted):
        examples = [Example(ids + codes[label][:-1], codes[label]) for ids, label in task.items["train"]]
        Trainer(base, PlainTrainee(adapted, ADAPTER.constraint), examples, TRAINING, seed).run(lambda: None)
        adapted.eval()
        return readings(base, task)


def measure(probs_NC: NDArray[np.float64], labels_N: NDArray[np.int64], learned: str, name: str) -> Row:
    """Return one row of the table."""
    return {
        "learned": learned,
        "reading": name,
        "accuracy": metrics.accuracy(probs_NC, labels_N),
        "ece": ece(probs_NC, labels_N),
        "nll": metrics.nll(probs_NC, labels_N),
    }


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with CLINC150's train.jsonl and test.jsonl")
    parser.add_argument("--labels", type=int, default=30)
    parser.add_argument("--labelled", type=int, default=150)
    parser.add_argument("--test", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    base = load_base(ModelConfig(base="smollm2-135m-instruct"))
    task = Task(base, options.data, options)
    rows = [measure(probs_NC, task.labels_N, "nothing", name) for name, probs_NC in readings(base, task).items()]
    whole = learn(base, task, task.whole, options.seed)
    rows += [measure(whole[name], task.labels_N, "whole labels", name) for name in ("mean", "sum")]
    told = learn(base, task, task.distinct_beginnings, options.seed)
    rows.append(measure(told["told apart"], task.labels_N, "what tells labels apart", "told apart"))
    RESULT.write_text(document(rows, task, options))
    print(RESULT.read_text())


def document(rows: Sequence[Row], task: Task, options: argparse.Namespace) -> str:
    """Return the table as Markdown, with the command that repeats it."""
    lines = [
        "# How a label of several tokens gets its score",
        "",
        f"CLINC150, {options.labels} of its intents, {options.labelled} labelled items, {options.test} test items, "
        f"SmolLM2-135M, adapter in the last {ADAPTER.last_layers} layers, seed {options.seed}. All labels together add "
        f"{num_run(task.distinct_beginnings)} tokens to an item where they are read until they are told apart, and "
        f"{num_run(task.whole)} as a whole.",
        "",
        f"`python -m benchmarks.label_texts --data FOLDER --labels {options.labels} --labelled {options.labelled} "
        f"--test {options.test} --seed {options.seed}`",
        "",
        "| learned | reading | accuracy | ECE | NLL |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['learned']} | {r['reading']} | {r['accuracy']:.3f} | {r['ece']:.3f} | {r['nll']:.3f} |" for r in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
