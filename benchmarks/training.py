"""Training an adapter: ours and the plain peft + transformers loop, over the same labels."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from activelora.config import ConstraintConfig, TrainingConfig
from activelora.modeling.answer_loss import AnswerLoss, Example, example
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.training import Trainer
from benchmarks.measuring import Clock, measure
from benchmarks.result import Row
from benchmarks.scoring_arms import Bench, Case, cpu_seconds

SUMMARY = (
    "SmolLM2-135M, LoRA of rank 8 on all linear layers, dropout 0.1, 64 labels, 3 epochs, batches of 8; CPU seconds of "
    "one thread, both sides in turn in one process."
)
NOTES = (
    "peft: batches at random, padded, full logits, loss by transformers, torch's AdamW as it comes; one epoch is timed "
    "and counts three times. Ours trains all three: the first one computes the frozen trunk's states. Agreement: the "
    "loss of the same batch without dropout. Where prompts share nothing we use `training.group_by_length`, else "
    "`training.packing`.",
)
LABELS, EPOCHS, BATCH = 64, 3, 8
THIRD = 10
CASES: dict[str, tuple[str, bool, int | None]] = {
    "trec6, no prefix": ("trec6", False, None),
    "trec6, shared prefix": ("trec6", True, None),
    "agnews, no prefix": ("agnews", False, None),
    "agnews, 8 questions each": ("agnews_topics", False, None),
    "trec6, no prefix, adapters on the last third": ("trec6", False, THIRD),
    "trec6, shared prefix, adapters on the last third": ("trec6", True, THIRD),
}
"""Row → data, whether prompts begin with the same instructions, layers with an adapter (None: all)."""


def run(repetitions: int) -> Iterator[Row]:
    """Compare on questions, news and label sets."""
    for name, (data, prefix, last_layers) in CASES.items():
        num_items = LABELS // 8 if data.endswith("topics") else LABELS
        case = Case(data, prefix, last_layers, num_items, LABELS, 1)
        found = measure("benchmarks.training:compare", case=asdict(case), repetitions=repetitions).value
        ours, peft = found["ours"], found["peft"]
        ratios = tuple(other / own for other, own in zip(peft, ours, strict=True))
        figures = {"ours_seconds": min(ours), "labels_per_second": LABELS * EPOCHS / min(ours)}
        agreement = f"losses differ by {found['difference']:.1e} nats"
        version = importlib.metadata.version("peft")
        yield Row(name, f"peft {version} + transformers", ratios, agreement, found["difference"] <= 1e-4, figures)


def compare(clock: Clock, case: dict[str, Any], repetitions: int) -> dict[str, Any]:
    """Return both sides' CPU seconds for all epochs, a repetition each, and how their first losses differ."""
    bench = Bench(Case(**case))
    encoded = bench.encoder.encode(bench.items)
    labels = np.random.default_rng(0).integers(0, len(encoded[0].answer_ids), len(encoded))
    examples = [example(one, int(label)) for one, label in zip(encoded, labels, strict=True)]
    shares = bench.case.prefix or bench.encoder.rows_per_item > 1
    with torch.no_grad():
        bench.adapted.eval()
        own = AnswerLoss(bench.base, bench.first_top_layer, examples, packing=shares)(list(range(BATCH)))
        difference = abs(float(own - _loss(bench, examples[:BATCH])))
    found: dict[str, Any] = {"ours": [], "peft": [], "difference": difference}
    with clock.running():
        for _ in range(repetitions):
            found["ours"].append(cpu_seconds(lambda: ours(bench, examples, shares)))
            found["peft"].append(cpu_seconds(lambda: peft(bench, examples)) * EPOCHS)
    return found


def ours(bench: Bench, examples: list[Example], shares: bool) -> None:
    """Train all epochs."""
    config = TrainingConfig(epochs=EPOCHS, batch_size=BATCH, packing=shares, group_by_length=not shares)
    trainee = PlainTrainee(bench.adapted, ConstraintConfig(form="none"))
    Trainer(bench.base, trainee, examples, config, seed=0).run(lambda: None)


def peft(bench: Bench, examples: list[Example]) -> None:
    """Train one epoch as peft's own examples do."""
    parameters = [parameter for parameter in bench.adapted.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=5e-4)
    order = np.random.default_rng(0).permutation(len(examples))
    bench.adapted.train()
    for begin in range(0, len(order), BATCH):
        loss = _loss(bench, [examples[index] for index in order[begin : begin + BATCH]])
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    bench.adapted.eval()


def _loss(bench: Bench, batch: list[Example]) -> torch.Tensor:
    rows = [(*one.ids, one.targets[-1]) for one in batch]
    length = max(len(row) for row in rows)
    ids_BT = torch.tensor([[*row, *[0] * (length - len(row))] for row in rows])
    mask_BT = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    learned = [[-100] * (len(row) - len(one.targets)) for row, one in zip(rows, batch, strict=True)]
    labels = [[*head, *one.targets] for head, one in zip(learned, batch, strict=True)]
    labels_BT = torch.tensor([[*row, *[-100] * (length - len(row))] for row in labels])
    loss: torch.Tensor = bench.adapted(input_ids=ids_BT, attention_mask=mask_BT, labels=labels_BT).loss
    return loss
