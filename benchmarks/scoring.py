"""Monte-Carlo dropout scoring, K = 8: ours, the plain peft + transformers loop, baal, and one plain forward pass."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from benchmarks.measuring import measure
from benchmarks.result import Row
from benchmarks.scoring_arms import Case

SUMMARY = (
    "SmolLM2-135M, LoRA of rank 8 on all linear layers, Monte-Carlo dropout of K = 8 samples over real items; CPU "
    "seconds of one thread, all sides in turn in one process."
)
NOTES = (
    "peft: the plain loop over padded batches of 16, adapters unmerged, full logits. baal: its MC modules around the "
    "same model. One forward pass: the same batches without an adapter, once. These sides run one sample over some of "
    "the items; their time is multiplied by K and by how many more padded tokens all items are, for their passes are "
    "all alike. Agreement: the largest difference in log-probability from the padded, unmerged computation with the "
    "same masks.",
    "Useful share: floating-point operations of the linear layers on real tokens that the mathematics needs, per "
    "second, against matmuls of the model's own shapes. Operations ratio: what the plain loop's matmuls (padding, "
    "the full vocabulary and the adapter's own matrices included) need, divided by that. Where both sides run as fast "
    "as the processor multiplies, the ratio of times comes to it.",
    "The row on masks has the rank correlation over items between one mask a sample for all items, as ours, and peft's "
    "fresh mask for every token; the row on numbers that between the same samples in float32 and in bfloat16.",
)
SAMPLES = 8
ITEMS = int(os.environ.get("ACTIVELORA_BENCHMARK_ITEMS", "500"))
"""Items that ours scores."""
SLOW = max(16, ITEMS // 8 // 16 * 16)
"""Questions that the other sides answer: an eighth of the items, at least 16."""
THIRD = 10
CORRELATED_ITEMS, CORRELATED_SAMPLES = 200, 64
LAYOUTS: dict[str, tuple[bool, int | None]] = {
    "shared prefix": (True, None),
    "no prefix": (False, None),
    "shared prefix, adapters on the last third": (True, THIRD),
    "no prefix, adapters on the last third": (False, THIRD),
}
QUESTIONS = 8
"""That are asked of each text where a task has several labels a text."""


def run(repetitions: int) -> Iterator[Row]:
    """Compare on questions, label sets and news, the quick ones first; then masks, and numbers of two kinds."""
    yield from _layouts("trec6", repetitions)
    case = Case("agnews_topics", False, None, max(2, ITEMS // QUESTIONS), SLOW, SAMPLES)
    yield from _compared(f"{QUESTIONS} questions each", case, repetitions)
    yield from _correlations()
    yield from _layouts("agnews", repetitions)


def _layouts(data: str, repetitions: int) -> Iterator[Row]:
    for layout, (prefix, last_layers) in LAYOUTS.items():
        yield from _compared(layout, Case(data, prefix, last_layers, ITEMS, SLOW, SAMPLES), repetitions)


def _correlations() -> Iterator[Row]:
    num_items = min(ITEMS, CORRELATED_ITEMS)
    case = Case("trec6", False, THIRD, num_items, 16, CORRELATED_SAMPLES)
    found = measure("benchmarks.scoring_arms:mask_correlation", case=asdict(case)).value
    yield Row(f"trec6, {num_items} items, K = {CORRELATED_SAMPLES}: fixed masks and masks per token", figures=found)
    case = Case("trec6", False, None, num_items, 16, SAMPLES)
    found = measure("benchmarks.scoring_arms:precision_correlation", case=asdict(case)).value
    yield Row(f"trec6, {num_items} items, K = {SAMPLES}: float32 and bfloat16", figures=found)


def _compared(layout: str, case: Case, repetitions: int) -> Iterator[Row]:
    with_baal = importlib.util.find_spec("baal") is not None
    found = measure("benchmarks.scoring_arms:compare", case=asdict(case), repetitions=repetitions, with_baal=with_baal)
    yield from comparison(f"{case.data}, {case.num_items} items, {layout}", case.num_items, found.value)


def comparison(case: str, num_items: int, found: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each side that :func:`benchmarks.scoring_arms.compare` timed beside ours."""
    seconds = found["seconds"]
    ours = seconds["ours"]
    middle = sorted(ours)[len(ours) // 2]
    rate = found["gflop"] / middle
    figures = {
        "ours_seconds": middle,
        "prefix_tokens": found["prefix"],
        "items_per_second": num_items / middle,
        "operations_ratio": found["plain_gflop"] / found["gflop"],
        "useful_share": rate / found["matmul_gflops"],
        "merging_share": found["merge_seconds"] / middle,
        "tokeniser_share": found["tokenise_seconds"] / middle,
    }
    names = {"peft": f"peft {importlib.metadata.version('peft')} + transformers, K passes"}
    if "baal" in seconds:
        names["baal"] = "baal, K passes"
    names["forward"] = "one plain forward pass"
    for side, name in names.items():
        ratios = tuple(other / own for other, own in zip(seconds[side], ours, strict=True))
        agrees = found["difference"] <= 1e-4
        agreement = f"log-probabilities differ by at most {found['difference']:.1e}"
        yield Row(case, name, ratios, agreement, agrees, figures if side == "peft" else {})
