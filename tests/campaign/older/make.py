"""Make one of the older campaigns in this folder, by the code of the commit that it is of.

Usage, from the repository's root, in the environment of today's code (which the old commits below run with):

    git worktree add --detach ../old COMMIT
    python tests/campaign/older/make.py NAME ../old

The commit of each name is in :data:`SCENES`. The campaign is made in an empty folder that is the working folder, with
`model.base` and `data.folder` relative to it, so that no path of the machine is frozen into it. It is left in the
middle: whoever opens it goes on from there.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
KINDS = {"human": "Who wrote the play", "location": "Where is the river", "number": "How far is the moon"}
WORDS = ("red", "green", "blue", "first", "far", "water", "fire", "earth")
MODEL_PORT = 18741
"""Where the `llm` campaign's model answers: the address is frozen in it."""
CLASSES = {"prompt": "Question: {text}\nAnswer type:", "labels": sorted(KINDS), "chat_template": "never"}
PEOPLE = {"source": "files"}
MODEL = {
    "url": f"http://127.0.0.1:{MODEL_PORT}/v1",
    "model": "tiny",
    "price_in": 1.0,
    "price_out": 2.0,
    "max_cost": 1.0,
}


@dataclass(frozen=True)
class Scene:
    """A campaign to make.

    Attributes:
        commit: The commit whose code makes it.
        stop: Step, round and shard: it is left before that unit; for labels of people, while it waits for them.
        changes: Settings, section by section, beside those that all have.
    """

    commit: str
    stop: tuple[str, int, int | None]
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)


SCENES = {
    "files-1121-1219": Scene("2e3dbff", ("train_adapter", 1, None), {"labeling": PEOPLE}),
    "oracle-1121-1219": Scene("2e3dbff", ("score_pool", 1, 1), {"data": {"shard_rows": 12}}),
    "texts-1121-1602": Scene(
        "6cbb275",
        ("evaluate_adapter", 1, None),
        {
            "task": {"kind": "generation", "labels": [], "max_answer_tokens": 4},
            "data": {"calibration_size": 0},
            "acquisition": {"measure": "answer_nll"},
        },
    ),
    "laplace-1121-1602": Scene(
        "6cbb275",
        ("evaluate_adapter", 1, None),
        {"adapter": {"method": "laplace", "laplace": {"factor_rank": 2}}, "acquisition": {"strategy": "badge"}},
    ),
    "studio-secret-1121-1841": Scene(
        "52e07ea", ("evaluate_adapter", 0, None), {"labeling": {"label_studio": {"secret": "studio-key"}}}
    ),
    "pod-secret-1121-1850": Scene(
        "f41a9b1", ("evaluate_adapter", 0, None), {"resources": {"label_studio_secret": "studio-key"}}
    ),
    "llm-return-1121-2202": Scene(
        "395ab58", ("select_batch", 1, None), {"labeling": {"source": "llm", "skipped": "return", "llm": MODEL}}
    ),
    "reasons-1122-0434": Scene(
        "437e7cd", ("await_labels", 0, None), {"labeling": {**PEOPLE, "annotators_per_item": 2}}
    ),
    "files-1130-2125": Scene("f7d52e2", ("await_labels", 1, None), {"labeling": PEOPLE}),
    "oracle-1130-2125": Scene("f7d52e2", ("await_labels", 0, None)),
    "numbers-1201-2300": Scene("7356ed6", ("await_labels", 1, None), {"labeling": PEOPLE}),
    "labelled-1202-0252": Scene("135734b", ("ingest_pool", 0, None), {"labeling": PEOPLE}),
}


def settings(name: str) -> dict[str, Any]:
    """Return the campaign file of a scene, as a mapping."""
    document: dict[str, Any] = {
        "name": name,
        "seed": 3,
        "task": CLASSES,
        "data": {
            "folder": ".",
            "pool": {"path": "pool.jsonl"},
            "holdout_size": 9,
            "calibration_size": 6,
            "shard_rows": 24,
        },
        "model": {"base": "tiny-model"},
        "adapter": {"rank": 1, "last_layers": 1, "targets": ["v_proj"]},
        "training": {"epochs": 2, "learning_rate": 1.0e-3},
        "scoring": {"num_samples": 2},
        "acquisition": {"strategy": "star", "batch_size": 4, "exploration": 0.25},
        "stopping": {"max_rounds": 2},
        "evaluation": {"bootstrap_samples": 100, "num_bins": 3},
        "tracking": {"enabled": False},
    }
    for section, values in SCENES[name].changes.items():
        document[section] = {**document.get(section, {}), **values}
    return document


def write_pool(folder: Path) -> dict[str, str]:
    """Write the pool's file, and return the label of each text."""
    rng = random.Random(0)
    labels = {}
    for index in range(39):
        label = sorted(KINDS)[index % 3]
        words = " ".join(rng.choices(WORDS, k=rng.randint(1, 4)))
        labels[f"{KINDS[label]} {words} {index} ?"] = label
    rows = [{"text": text, "label": label} for text, label in labels.items()]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return labels


def make(name: str) -> None:
    """Make the campaign in the working folder, with the code that Python finds."""
    # By name: these are the modules of the old commits, wherever today's are.
    campaigns, ledger = import_module("activelora.campaign.campaign"), import_module("activelora.campaign.ledger")
    parse_config = _first_module("activelora.config.file", "activelora.config_file").parse_config
    run_unit = import_module("components.entry").run_unit
    write_tiny_model = import_module("tests.tiny_model").write_tiny_model

    labels = write_pool(Path())
    write_tiny_model(Path("tiny-model"))
    campaign = campaigns.Campaign.create("campaign", parse_config(settings(name), where=name))
    stop, answered = SCENES[name].stop, set[int]()
    while True:
        plan = ledger.next_plan(campaign)
        if plan.status != "work":
            raise SystemExit(f"{name} ended before {stop}: {plan.reason}")
        for unit in plan.units:
            is_there, waits = (unit.step, unit.round, unit.shard) == stop, _waits(campaign.config, unit.step)
            if is_there and not waits:
                return
            if run_unit(campaign, unit) is None:
                if is_there:
                    return
                if unit.round in answered:
                    raise SystemExit(f"{name}: the answers of round {unit.round} were not taken")
                answer_round(Path("campaign"), unit.round, _as_written(name, labels))
                answered.add(unit.round)


def _first_module(*names: str) -> Any:
    """Return the first of the modules that the commit has."""
    found = [name for name in names if find_spec(name.rpartition(".")[0]) and find_spec(name)]
    return import_module(found[0])


def _as_written(name: str, labels: dict[str, str]) -> dict[str, str]:
    """Return the labels as people wrote them: in the scene of that name, by their numbers from 0."""
    if not name.startswith("numbers"):
        return labels
    return {text: str(CLASSES["labels"].index(label)) for text, label in labels.items()}


def _waits(config: Any, step: str) -> bool:
    return step == "await_labels" and config.labeling.source == "files"


def answer_round(campaign: Path, round_: int, labels: dict[str, str], annotators: tuple[str, ...] = ("ann",)) -> None:
    """Fill in a round's worksheet as people do: all but the first item, which is passed over."""
    sheet = campaign / f"labeling/round-{round_:04d}/to_label.csv"
    with sheet.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    for annotator in annotators:
        with (campaign / f"inbox/{annotator}-{round_}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("item_id", "label", "annotator"))
            for index, row in enumerate(rows):
                writer.writerow((row["item_id"], labels[row["text"]] if index else "skip", annotator))


@contextmanager
def model_server(num_passed: int = 1) -> Iterator[None]:
    """Answer as a model at :data:`MODEL_PORT`: pass over so many questions, and say `human` to each one after."""
    left, lock = ["pass"] * num_passed, threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                passes = left and left.pop()
            text = json.dumps({"label": None if passes else "human"})
            usage = {"prompt_tokens": 100, "completion_tokens": 10}
            content = json.dumps({"choices": [{"message": {"content": text}}], "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", MODEL_PORT), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()


def main() -> None:
    """Make the campaign in a process that sees the checkout's code, and put it beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SCENES)
    parser.add_argument("checkout", type=Path, help="the old commit's files; made by git worktree add")
    arguments = parser.parse_args()
    checkout, wanted = arguments.checkout.resolve(), SCENES[arguments.name].commit
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, check=True, capture_output=True, text=True)
    if not found.stdout.startswith(wanted):
        raise SystemExit(f"{checkout} is at {found.stdout[:7]}, and {arguments.name} is of {wanted}")
    with tempfile.TemporaryDirectory() as folder, model_server():
        environment = {**os.environ, "PYTHONPATH": str(checkout), "ACTIVELORA_CACHE": f"{folder}/cache"}
        code = f"import runpy; runpy.run_path({str(HERE / 'make.py')!r})['make']({arguments.name!r})"
        subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True)
        target = HERE / arguments.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(Path(folder) / "campaign", target)
    files = [path for path in target.rglob("*") if path.is_file()]
    print(f"{target}: {len(files)} files, {sum(path.stat().st_size for path in files)} bytes")


if __name__ == "__main__":
    main()
