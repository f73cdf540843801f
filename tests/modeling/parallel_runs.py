"""Trains with the settings of a file in as many processes as torchrun has started, or in this one alone.

``python -m tests.modeling.parallel_runs FOLDER``: FOLDER/runs.json names a model and the runs; each run's losses and
adapter go into FOLDER/<name>-<size>-<rank>.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from activelora.config import AdapterConfig, ConstraintConfig, ModelConfig, TrainingConfig
from activelora.modeling import lora
from activelora.modeling.base import load_base, load_to_shard
from activelora.modeling.parallel import ALONE, Team, join, leave
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.training import Example, Trainer


def train(folder: Path, model: str, run: dict, team: Team) -> None:
    """Do one run, and write what it found."""
    config = ModelConfig(base=model)
    base = load_to_shard(config) if team.shards else load_base(config)
    examples = [Example(tuple(ids), tuple(targets)) for ids, targets in run["examples"]]
    adapter = AdapterConfig(rank=4, **run["adapter"])
    with lora.attached(lora.attach(base, adapter, seed=3)) as adapted:
        trainee = PlainTrainee(adapted, ConstraintConfig(**run["constraint"]))
        losses = Trainer(base, trainee, examples, TrainingConfig(**run["training"]), 7, team=team).run(lambda: None)
        target = folder / f"{run['name']}-{team.size}-{team.rank}"
        lora.save(adapted, target)
    (target / "losses.json").write_text(json.dumps(losses))


def main(folder: Path) -> None:
    document = json.loads((folder / "runs.json").read_text())
    for run in document["runs"]:
        team = join(run["mode"]) if "RANK" in os.environ else ALONE
        train(folder, document["model"], run, team)
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
