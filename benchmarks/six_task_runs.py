"""One run of the six-task C-LoRA protocol: rows, training in memory, and what is measured."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from activelora.config import CampaignConfig, ModelConfig
from activelora.config.presets import C_LORA
from activelora.evaluation.calibration import ece
from activelora.evaluation.classification_metrics import accuracy, nll
from activelora.evaluation.temperature import fit_temperature, scale
from activelora.modeling.answer_loss import example
from activelora.modeling.base import BaseModel, load_base
from activelora.modeling.clora import clora_layers, noisy
from activelora.modeling.encoding import EncodedItem, Encoder
from activelora.modeling.lora import check_adapter
from activelora.modeling.methods.registry import get_method
from activelora.modeling.posterior import Setting, Trainee
from activelora.modeling.sampling import NoAdapter
from activelora.modeling.training import Trainer
from activelora.scoring.batch_size import batch_tokens
from activelora.scoring.engine import Engine
from activelora.seeding import derive_seed
from benchmarks.clora_protocol import Protocol, Result
from benchmarks.six_tasks import ClosingEncoder, Rows, clean_task, legacy_task, read_rows, test_split


@dataclass(frozen=True)
class Limits:
    """How much is done; None is all of it.

    Attributes:
        train: Training rows, held-out ones included.
        test: Test rows.
        steps: Optimiser steps.
    """

    train: int | None = None
    test: int | None = None
    steps: int = 1500


@dataclass(frozen=True)
class Data:
    """A task's rows under one protocol."""

    train: Rows
    held_out: Rows
    test: Rows


def read_data(protocol: Protocol, task: str, data: Path, seed: int, limits: Limits) -> Data:
    """Read a task and split off the held-out rows; rows of one group stay together."""
    test = read_rows(data, task, test_split(task, protocol.is_legacy), protocol.is_legacy)
    rows = read_rows(data, task, "train", protocol.is_legacy)
    groups = sorted(set(rows.groups))
    random.Random(derive_seed(seed, "held_out", task)).shuffle(groups)
    place = {group: index for index, group in enumerate(groups)}
    order = sorted(range(len(rows)), key=lambda index: (place[rows.groups[index]], index))[: limits.train]
    apart = {rows.groups[index] for index in order[: round(protocol.held_out * len(order))]}
    held_out = [index for index in order if rows.groups[index] in apart]
    train = [index for index in order if rows.groups[index] not in apart]
    num_test = min(len(test), limits.test or len(test))
    if protocol.last_batch == "left out":
        num_test -= num_test % C_LORA["training"]["batch_size"]
    return Data(rows.take(train), rows.take(held_out), test.take(range(num_test)))


def settings(protocol: Protocol, task: str, method: str, model: str, steps: int) -> CampaignConfig:
    """Return the settings: the published code's, but for what the protocol changes."""
    adapter = {**C_LORA["adapter"], "method": method}
    factor = protocol.likelihood_scale.get(task, 1.0)
    c_lora = adapter["c_lora"]
    # A likelihood times s is, to plain SGD, s times the rate and the KL's weight divided by s; to AdamW it is nothing.
    scaled = {"learning_rate": c_lora["learning_rate"] * factor, "kl_weight": c_lora["kl_weight"] / factor}
    adapter["c_lora"] = {**c_lora, **scaled}
    if method == "lora":
        adapter["targets"] = [target for target in adapter["targets"] if target != "lm_head"]
    return CampaignConfig(
        name="six-tasks",
        task=legacy_task(task) if protocol.is_legacy else clean_task(task),
        data={"pool": {"path": "rows-come-from-the-benchmark"}},
        model={"base": model},
        adapter=adapter,
        training={
            **C_LORA["training"],
            "min_steps": steps,
            "epochs": 1e-9,  # one step at most, however many rows: the steps asked for are those that are taken
            "checkpoint_every_steps": max(1, steps // 15),
        },
        acquisition={"strategy": "random"},
    )


@dataclass
class Job:
    """A training run in memory: :class:`activelora.modeling.posterior.FitJob`.

    Attributes:
        judge: Scores the model as it stands, lower is better; the best step's weights are kept. None keeps the last.
    """

    base: BaseModel
    config: CampaignConfig
    items: Sequence[EncodedItem]
    labels: Sequence[int]
    folder: Path
    root_seed: int
    judge: Callable[[], float] | None = None
    previous: Path | None = None

    def seed(self, name: str, *parts: str | int) -> int:
        """Return the seed of a named draw."""
        return derive_seed(self.root_seed, name, *parts)

    def among(self, indices: Sequence[int]) -> Job:
        """Return the job on some of its items and labels only."""
        items, labels = [self.items[index] for index in indices], [self.labels[index] for index in indices]
        return replace(self, items=items, labels=labels)

    def train(self, trainee: Trainee, seed: int, name: str = "") -> list[float]:
        """Train to the last step, and go back to the best where a judge says which that is."""
        examples = [example(item, label) for item, label in zip(self.items, self.labels, strict=True)]
        trainer = Trainer(self.base, trainee, examples, self.config.training, seed)
        best: tuple[float, list[torch.Tensor]] | None = None

        def judge() -> None:
            nonlocal best
            if self.judge is None:
                return
            with noisy(clora_layers(trainee.adapted), {}):
                value = self.judge()
            if best is None or value < best[0]:
                best = value, [parameter.data.clone() for parameter in trainer.parameters]

        losses = trainer.run(judge)
        judge()
        if best is not None:
            for parameter, value in zip(trainer.parameters, best[1], strict=True):
                parameter.data.copy_(value)
        return losses


def run_task(
    protocol: Protocol, task: str, config: CampaignConfig, data: Data, seed: int, numbers: Sequence[int]
) -> list[Result]:
    """Train once and measure the posterior mean (M = 0) and the mean of M softmaxes for each M."""
    begin = time.monotonic()
    base = load_base(ModelConfig(base=config.model.base))
    check_adapter(base.model, config.adapter)
    closes = protocol.is_legacy and not task.startswith(("ARC", "OBQA"))
    encoder = (ClosingEncoder if closes else Encoder)(base.tokenizer, config.task)
    engine = Engine(base, encoder, 0, batch_tokens(config.scoring, base))
    method = get_method(config.adapter.method).implement()
    judge = _judge(engine, data.held_out) if protocol.is_legacy else None
    results = []
    with tempfile.TemporaryDirectory() as folder:
        encoded = encoder.encode(data.train.items)
        fit = method.fit(Job(base, config, encoded, data.train.labels, Path(folder), seed, judge))
        training_seconds = time.monotonic() - begin
        setting = Setting(base, encoder, config, derive_seed(seed, "samples"))
        for number in numbers:
            begin = time.monotonic()
            with method.load(Path(folder), setting) as posterior:

                def predict(rows: Rows, count: int) -> NDArray[np.float64]:
                    return posterior.predict(engine, rows.items, count, False, task).log_probs_NKC

                plain_NC, scaled_NC = _distributions(protocol, data, number, predict)
            truth = np.array(data.test.labels)
            result = Result(
                protocol=protocol.name,
                task=task,
                method=config.adapter.method,
                model=config.model.base,
                seed=seed,
                num_samples=number,
                num_train=len(data.train),
                num_test=len(data.test),
                num_steps=len(fit.losses),
                accuracy=accuracy(plain_NC, truth),
                ece=ece(plain_NC, truth),
                nll=nll(plain_NC, truth),
                scaled_ece=ece(scaled_NC, truth),
                scaled_nll=nll(scaled_NC, truth),
                seconds=training_seconds + time.monotonic() - begin,
            )
            results.append(result)
    return results


def _judge(engine: Engine, rows: Rows) -> Callable[[], float]:
    """Return the published code's score of the model as it stands: (1 − accuracy) · ECE, lower is better."""

    def judge() -> float:
        probs_NC = np.exp(engine.log_probs(rows.items, NoAdapter(), [None], "choosing the step")[:, 0])
        labels = np.array(rows.labels)
        return (1.0 - accuracy(probs_NC, labels)) * ece(probs_NC, labels)

    return judge


def _distributions(
    protocol: Protocol, data: Data, number: int, predict: Callable[[Rows, int], NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the test rows' probs_NC, plain and after temperature scaling."""
    log_probs_NKC = predict(data.test, number)
    reported_NC = np.exp(log_probs_NKC).mean(axis=1)
    labels = np.array(data.held_out.labels)
    if protocol.is_legacy:
        temperature = fit_temperature(predict(data.held_out, 0)[:, 0], labels)
        samples = [scale(log_probs_NKC[:, k], temperature) for k in range(log_probs_NKC.shape[1])]
        return reported_NC, np.asarray(np.mean(samples, axis=0))
    with np.errstate(divide="ignore"):  # an answer that an item lacks has probability 0
        held_out_NC = np.log(np.exp(predict(data.held_out, number)).mean(axis=1))
        return reported_NC, scale(np.log(reported_NC), fit_temperature(held_out_NC, labels))
