"""BADGE: k-means++ over gradient embeddings that are never formed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.drawn_pools import embeddings, samples
from benchmarks.measuring import Clock, NotInstalledError, measure
from benchmarks.result import Row

SUMMARY = "BADGE over drawn predictions and embeddings; CPU seconds of one thread, ours and the peer in turn."
NOTES = (
    "small-text embeds −p in place of p − onehot and draws by numbers of its own, so that its picks cannot be ours. "
    "What is checked is that our picks are those of k-means++ on the explicit N × C·D matrix with the same random "
    "numbers, at the size that is named. small-text runs once at 77 answers, where it needs minutes.",
)
PAIRED = {"50,000 × 4": {"num": 50_000, "num_answers": 4}, "5,000 × 77": {"num": 5_000, "num_answers": 77}}
LARGE = {"num": 50_000, "num_answers": 77, "num_features": 768, "batch": 200}
SMALL = {"num": 2_000, "num_answers": 8, "num_features": 32, "batch": 60}


def ours(clock: Clock, num: int, num_answers: int, num_features: int, batch: int) -> list[int]:
    """Return our picks."""
    from activelora.acquisition.badge import kmeans_plus_plus, residuals

    probs, points = samples(num, 1, num_answers)[:, 0], embeddings(num, num_features)
    with clock.running():
        return [row for row, _ in kmeans_plus_plus(residuals(probs), points, batch, seed=0)]


def explicit(clock: Clock, num: int, num_answers: int, num_features: int, batch: int) -> list[int]:
    """Return the picks of k-means++ on the matrix, all distances anew, with the random numbers that ours draws."""
    from activelora.acquisition.badge import residuals

    probs, points = samples(num, 1, num_answers)[:, 0], embeddings(num, num_features).astype(np.float64)
    matrix = np.einsum("nc,nd->ncd", residuals(probs), points).reshape(num, -1)
    rng = np.random.default_rng(0)
    with clock.running():
        picks = [int((matrix**2).sum(axis=1).argmax())]
        squared = np.full(num, np.inf)
        while len(picks) < batch:
            squared = np.minimum(squared, ((matrix - matrix[picks[-1]]) ** 2).sum(axis=1))
            squared[picks] = 0.0
            edges = squared.cumsum()
            picks.append(int(np.searchsorted(edges, rng.random() * edges[-1], side="right")))
    return picks


def small_text(clock: Clock, num: int, num_answers: int, num_features: int, batch: int) -> int:
    """Return how many picks small-text makes."""
    from small_text.integrations.pytorch.query_strategies.strategies import BADGE

    probs, points = samples(num, 1, num_answers)[:, 0], embeddings(num, num_features)
    rows, nothing = np.arange(num), np.empty(0, dtype=np.int64)
    with clock.running():
        picks = BADGE(num_answers).sample(None, None, rows, nothing, nothing, batch, points, embeddings_proba=probs)
    return len(picks)


def run(repetitions: int) -> Iterator[Row]:
    """Compare with small-text, then measure the size that it has no memory for."""
    mine, right = (measure(f"benchmarks.badge:{name}", **SMALL).value for name in ("ours", "explicit"))
    same = sum(one == two for one, two in zip(mine, right, strict=True))
    check: dict[str, Any] = {
        "agreement": f"{same} of {SMALL['batch']} picks of the explicit matrix, 2,000 × 8, D 32",
        "agrees": same == SMALL["batch"],
    }
    for case, sizes in PAIRED.items():
        try:
            yield _compared(
                case, sizes | {"num_features": 768, "batch": 200}, repetitions if sizes["num"] > 5_000 else 1, check
            )
        except NotInstalledError as error:
            print(f"left out: small-text: {error}")
    alone = measure("benchmarks.badge:ours", **LARGE)
    figures = {"our_cpu_seconds": alone.cpu_seconds, "our_peak_gb": alone.peak_gb}
    yield Row("50,000 × 77, D 768, b 200", figures=figures, limits={"our_peak_gb": 2.0}, **check)


def _compared(case: str, sizes: dict[str, int], repetitions: int, check: dict[str, Any]) -> Row:
    pairs = [
        (measure("benchmarks.badge:ours", **sizes), measure("benchmarks.badge:small_text", **sizes))
        for _ in range(repetitions)
    ]
    return Row(
        f"{case}, D 768, b 200",
        f"small-text {importlib.metadata.version('small-text')}",
        tuple(other.cpu_seconds / own.cpu_seconds for own, other in pairs),
        figures={
            "our_cpu_seconds": min(own.cpu_seconds for own, _ in pairs),
            "their_cpu_seconds": min(other.cpu_seconds for _, other in pairs),
            "our_peak_gb": pairs[-1][0].peak_gb,
            "their_peak_gb": pairs[-1][1].peak_gb,
        },
        **check,
    )
