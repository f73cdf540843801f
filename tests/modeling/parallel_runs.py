"""Trains with the settings of a file in as many processes as torchrun has started, or in this one alone.

``python -m tests.modeling.parallel_runs FOLDER``: FOLDER/runs.json names a model and the runs; each run's losses and
adapter go into FOLDER/<name>-<size>-<rank>. A run with `stops_at` is stopped there, and goes on from its checkpoints.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from activelora.campaign.campaign import Attempt
from activelora.campaign.manifest import Unit
from activelora.campaign.store import open_store
from activelora.config import AdapterConfig, ConstraintConfig, ModelConfig, TrainingConfig
from activelora.modeling import lora
from activelora.modeling.answer_loss import Example
from activelora.modeling.base import load_base, load_to_shard
from activelora.modeling.checkpoint import Checkpoints
from activelora.modeling.parallel import ALONE, Team, join, leave
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.training import Trainer


class StoppedError(Exception):
    """The process is gone."""


def train(folder: Path, model: str, run: dict, team: Team) -> None:
    """Do one run, and write what it found."""
    for step in run.get("stops_at", ()):
        with suppress(StoppedError):
            _train(folder, model, run, team, step)
    _train(folder, model, run, team, None)


def _train(folder: Path, model: str, run: dict, team: Team, stop_at: int | None) -> None:
    config = ModelConfig(base=model)
    base = load_to_shard(config) if team.shards else load_base(config)
    examples = [Example(tuple(ids), tuple(targets)) for ids, targets in run["examples"]]
    adapter = AdapterConfig(rank=4, **run["adapter"])
    target = folder / f"{run['name']}-{team.size}-{team.rank}"
    with lora.attached(lora.attach(base, adapter, seed=3)) as adapted:
        trainee = PlainTrainee(adapted, ConstraintConfig(**run["constraint"]))
        trainer = Trainer(base, trainee, examples, TrainingConfig(packing=False, **run["training"]), 7, team=team)
        attempt = Attempt(None, Unit("train_adapter", 1))
        checkpoints = Checkpoints(
            open_store(str(folder / f"store-{run['name']}-{team.size}")), attempt, trainer, team=team
        )
        checkpoints.restore()
        steps_before = trainer.progress.step

        def checkpoint() -> None:
            checkpoints.save()
            if trainer.progress.step == stop_at:
                raise StoppedError

        losses = trainer.run(checkpoint)
        lora.save(adapted, target)
    (target / "losses.json").write_text(json.dumps({"losses": losses, "steps_before": steps_before}))


def fetch_once(folder: Path, team: Team) -> None:
    """Do what takes time, and leaves something that the other processes of this machine need not do again."""
    with team.first_here():
        if not (folder / f"fetched-{team.size}").exists():
            time.sleep(0.3)
            (folder / f"fetched-{team.size}").touch()
            (folder / f"fetched-{team.size}-by-{team.rank}").touch()


def main(folder: Path) -> None:
    document = json.loads((folder / "runs.json").read_text())
    for run in document["runs"]:
        team = join(run["mode"]) if "RANK" in os.environ else ALONE
        fetch_once(folder, team)
        train(folder, document["model"], run, team)
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
