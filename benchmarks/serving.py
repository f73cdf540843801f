"""Eight clients of `activelora serve`, and of `mlflow models serve` with the same model: both servers run, in turn."""

from __future__ import annotations

import importlib.metadata
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.http import HttpClient, Limits
from activelora.rules.file import checked_config
from benchmarks.measuring import ROOT
from benchmarks.result import Row
from benchmarks.scoring_arms import DATA, SEED, TASKS

SUMMARY = (
    "SmolLM2-135M with LoRA of rank 8; eight clients that each send one row at a time, and the next when its answer is "
    "there; the servers take turns, on the cores named below, one thread each unless OMP_NUM_THREADS says otherwise."
)
NOTES = (
    "Both servers hold the same model of the registry's form and answer with the same numbers; MLflow's runs as "
    "`mlflow models serve --env-manager local` starts it. Each client keeps its connection. MLflow's side runs this "
    "package's pyfunc, which keeps the merged sample between requests as ours does: what is compared is the serving. "
    "TREC-6 with its shared instructions has prompts that all begin alike, and ours keeps that beginning between "
    "batches: it is computed once, not once a batch. AG News without any has nothing in common, and one row already "
    "keeps the processor's matrices busy: batches save little there, so what is around the model bounds the ratio.",
)
CLIENTS = 8
REQUESTS = int(os.environ.get("ACTIVELORA_BENCHMARK_REQUESTS", "96"))
"""Requests of all clients together, in each turn."""
HOLDOUT = 24
START_SECONDS = 300.0
CASES = {"trec6, shared instructions": ("trec6", True), "agnews, no instructions": ("agnews", False)}
Ask = Callable[[HttpClient, str], float]
"""Asks for a row, and returns the probability of the answer."""


def run(repetitions: int) -> Iterator[Row]:
    """Compare on questions whose instructions are shared, and on news without any."""
    for case, (data, has_instructions) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            campaign = make_campaign(Path(folder), data, has_instructions=has_instructions)
            yield _compared(case, campaign, Path(folder), _texts(data), repetitions)


def make_campaign(folder: Path, data: str, *, has_instructions: bool) -> Campaign:
    """Return a campaign with an evaluated round, whose adapter is away from zero as after training."""
    import torch

    from activelora.modeling import lora
    from activelora.modeling.base import load_base
    from components.evaluate_adapter import step as evaluate_adapter
    from components.ingest_pool import step as ingest_pool

    prompt, instructions, labels = TASKS[data]
    lines = (DATA / data / "train.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "pool.jsonl").write_text("\n".join(lines[: 4 * HOLDOUT]) + "\n", encoding="utf-8")
    document = {
        "name": data,
        "task": {
            "prompt": instructions + prompt if has_instructions else prompt,
            "labels": labels,
            "chat_template": "never",
            "max_prompt_tokens": 400,
        },
        "data": {
            "folder": str(folder),
            "pool": {"path": "pool.jsonl"},
            "holdout_size": HOLDOUT,
            "label_numbers": "zero_based",
        },
        "tracking": {"enabled": False},
        "resources": {"trunk_cache_gb": 0},
    }
    campaign = Campaign.create(str(folder / "campaign"), checked_config(document, where="benchmark"))
    ingest_pool.run(campaign)
    adapted = lora.attach(load_base(campaign.config.model), campaign.config.adapter, SEED)
    with lora.attached(adapted):
        torch.manual_seed(SEED)
        for parameter in lora.b_parameters(adapted):
            parameter.data.normal_(0.0, 0.02)
        lora.save(adapted, folder / "adapter")
    attempt = campaign.attempt(Unit("train_adapter", 1))
    attempt.upload_folder("adapter", folder / "adapter")
    attempt.commit(metrics={"num_labels": 2.0})
    evaluate_adapter.run(campaign, 1)
    return campaign


def _texts(data: str) -> list[str]:
    lines = (DATA / data / "test.jsonl").read_text(encoding="utf-8").splitlines()[:REQUESTS]
    return [json.loads(line)["text"] for line in lines]


def _compared(case: str, campaign: Campaign, folder: Path, texts: Sequence[str], repetitions: int) -> Row:
    from mlflow.models import Model

    from activelora.tracking.mlflow_model import write_model

    write_model(campaign, 1, folder / "model", Model())
    seconds: dict[str, list[float]] = {"ours": [], "mlflow": []}
    found: dict[str, list[float]] = {}
    with ExitStack() as running:
        ours, theirs = _free_port(), _free_port()
        program = [sys.executable, "-m", "pipelines.cli", "serve", str(folder / "model"), "--port", str(ours)]
        running.enter_context(_server(program, f"http://127.0.0.1:{ours}/v2/health/ready", folder / "ours.log"))
        program_of_mlflow = str(Path(sys.executable).with_name("mlflow"))
        mlflow = [program_of_mlflow, "models", "serve", "--model-uri", str(folder / "model")]
        mlflow += ["--env-manager", "local", "--port", str(theirs)]
        running.enter_context(_server(mlflow, f"http://127.0.0.1:{theirs}/ping", folder / "mlflow.log"))
        sides = {
            "ours": lambda client, text: _ask_ours(client, f"http://127.0.0.1:{ours}/predict", text),
            "mlflow": lambda client, text: _ask_mlflow(client, f"http://127.0.0.1:{theirs}/invocations", text),
        }
        for ask in sides.values():
            _load(ask, texts[:CLIENTS])
        for _ in range(repetitions):
            for side, ask in sides.items():
                taken, found[side] = _load(ask, texts)
                seconds[side].append(taken)
    difference = max(abs(one - other) for one, other in zip(found["ours"], found["mlflow"], strict=True))
    middle = {side: sorted(times)[len(times) // 2] for side, times in seconds.items()}
    return Row(
        f"{case}, {len(texts)} requests of one row, {CLIENTS} clients",
        f"mlflow {importlib.metadata.version('mlflow')} models serve",
        tuple(other / own for other, own in zip(seconds["mlflow"], seconds["ours"], strict=True)),
        f"probabilities differ by at most {difference:.1e}",
        difference <= 1e-4,
        {f"{side}_rows_per_second": len(texts) / taken for side, taken in middle.items()},
    )


def _load(ask: Ask, texts: Sequence[str]) -> tuple[float, list[float]]:
    """Let the clients share the texts; return the time, and the probabilities in the texts' order."""
    found = [float("nan")] * len(texts)
    turns = iter(range(len(texts)))
    taking = threading.Lock()

    def work() -> None:
        client = HttpClient(Limits(10.0, 300.0, total_seconds=300.0))
        while True:
            with taking:
                index = next(turns, None)
            if index is None:
                return
            found[index] = ask(client, texts[index])

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began, found


def _ask_ours(client: HttpClient, url: str, text: str) -> float:
    return float(_post(client, url, {"rows": [{"text": text}]})["answers"][0]["probability"])


def _ask_mlflow(client: HttpClient, url: str, text: str) -> float:
    body = {"dataframe_split": {"columns": ["text"], "data": [[text]]}}
    return float(_post(client, url, body)["predictions"][0]["probability"])


def _post(client: HttpClient, url: str, document: Any) -> Any:
    headers = {"Content-Type": "application/json"}
    answer = client.request("POST", url, headers=headers, body=json.dumps(document).encode())
    if answer.status != 200:
        raise RuntimeError(f"{url}: HTTP {answer.status} {answer.content[:300]!r}")
    return json.loads(answer.content)


@contextmanager
def _server(command: list[str], url: str, log: Path) -> Iterator[None]:
    """Run a server until it is no longer needed, and wait until it answers."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environment) as process:
        try:
            client, until = HttpClient(Limits(2.0, 10.0, total_seconds=10.0)), time.monotonic() + START_SECONDS
            while not _answers(client, url):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{' '.join(command)}: {log.read_text()[-2000:]}")
                time.sleep(0.5)
            yield
        finally:
            process.terminate()
            process.wait(60)


def _answers(client: HttpClient, url: str) -> bool:
    from activelora.errors import ActiveLoRAError

    try:
        return client.request("GET", url).status == 200
    except ActiveLoRAError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])
