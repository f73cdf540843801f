"""Answering a table's rows with a trained adapter: ours and the plain loop of peft and transformers, side by side."""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from activelora.config import CampaignConfig
from activelora.config.file import parse_config
from activelora.modeling import lora
from activelora.prediction.bundle import ADAPTER_NAME, Bundle
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.readings import Readings
from benchmarks.measuring import Clock, measure
from benchmarks.result import Row
from benchmarks.scoring_arms import SEED, Bench, Case, cpu_seconds, num_padded

SUMMARY = (
    "SmolLM2-135M, LoRA of rank 8 on all linear layers, the posterior's mean of real items; CPU seconds of one thread, "
    "both sides in turn in one process."
)
NOTES = (
    "Ours: rows as `activelora predict` answers them, tokenising, temperature and answers included. peft: the plain "
    "loop over padded batches of 16 in the input's order, adapter unmerged, full logits, of prompts that are tokenised "
    "already; it runs some of the items, and its time is multiplied by how many more padded tokens all items are. "
    "Agreement: the largest difference in probability on those items.",
)
ITEMS = int(os.environ.get("ACTIVELORA_BENCHMARK_ITEMS", "160"))
"""Items that ours answers."""
SLOW = max(16, ITEMS // 5 // 16 * 16)
"""Items that the other side answers: a fifth, at least 16."""
CASES = (("trec6", True), ("agnews", False), ("agnews", True))
"""Data, and whether prompts begin with the same instructions."""


def run(repetitions: int) -> Iterator[Row]:
    """Compare on questions with shared instructions, and on news without and with them."""
    for data, prefix in CASES:
        case = Case(data, prefix, None, ITEMS, SLOW, 1)
        found = measure("benchmarks.predict:compare", case=asdict(case), repetitions=repetitions).value
        ours, peft = found["ours"], found["peft"]
        middle = sorted(ours)[len(ours) // 2]
        yield Row(
            f"{data}, {ITEMS} items, {'shared' if prefix else 'no'} prefix",
            f"peft {importlib.metadata.version('peft')} + transformers",
            tuple(other / own for other, own in zip(peft, ours, strict=True)),
            f"probabilities differ by at most {found['difference']:.1e}",
            found["difference"] <= 1e-4,
            {"ours_seconds": middle, "items_per_second": ITEMS / middle},
        )


def compare(clock: Clock, case: dict[str, Any], repetitions: int) -> dict[str, Any]:
    """Return each side's CPU seconds for all items, a repetition each, and how far their probabilities differ."""
    bench = Bench(Case(**case))
    rows = [dict(item.fields) for item in bench.items]
    share = num_padded(bench, len(bench.prompts)) / num_padded(bench, bench.case.num_slow)
    seconds: dict[str, list[float]] = {"ours": [], "peft": []}
    with tempfile.TemporaryDirectory() as folder:
        adapter = Path(folder) / ADAPTER_NAME
        with lora.attached(bench.adapted):
            lora.save(bench.adapted, adapter)
        bundle = Bundle(Path(folder), _config(bench), 1, SEED, Readings(), {}, {ADAPTER_NAME: ""})
        said: dict[str, Any] = {}

        def plain() -> None:
            said["peft"] = np.exp(bench.plain())

        with clock.running():
            for _ in range(repetitions):
                with LoadedModel.load(bundle) as model:
                    model.predict(rows[:2])
                    seconds["ours"].append(cpu_seconds(lambda: said.update(ours=_probabilities(model, rows))))
                with lora.attached(lora.load(bench.base, adapter)) as bench.adapted:
                    bench.adapted.eval()
                    seconds["peft"].append(cpu_seconds(plain) * share)
    few = said["ours"][: len(said["peft"])]
    wanted = said["peft"] / said["peft"].sum(axis=1, keepdims=True)
    return {**seconds, "difference": float(np.abs(few - wanted).max())}


def _probabilities(model: LoadedModel, rows: list[dict[str, Any]]) -> Any:
    answers = model.predict(rows, probabilities=True)
    return np.array([list((answer.probabilities or {}).values()) for answer in answers])


def _config(bench: Bench) -> CampaignConfig:
    document = {
        "name": "benchmark",
        "task": bench.encoder.task_config.model_dump(mode="json"),
        "data": {"pool": {"path": "-"}},
        "resources": {"trunk_cache_gb": 0},
    }
    return parse_config(document, where="benchmark", is_frozen=True)
