"""Core-set: the same k-center greedy picks as other libraries, and a pool of a million."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drawn_pools import embeddings, embeddings_file
from benchmarks.measuring import Clock, Measured, NotInstalledError, measure
from benchmarks.result import RESULTS, Row

SUMMARY = (
    "k-center greedy (core-set) over drawn embeddings, 10 of them labelled; CPU seconds, ours and the peer in turn."
)
NOTES = (
    "Every side runs in a process of its own. Peak memory counts libraries and the embeddings themselves. small-text "
    "runs once, as it takes minutes. How time grows with the pool and the batch: ![growth](core_set.png)",
)
LABELED = 10
PEERS = {"scikit-activeml": 3, "small-text": 1}
"""Peer → repetitions at most."""
MILLION = {"num": 1_000_000, "num_features": 384, "batch": 1000}
SIZES = (125_000, 250_000, 500_000, 1_000_000)


def ours(clock: Clock, num: int, num_features: int, batch: int, path: str | None = None) -> dict[str, Any]:
    """Return our picks and the time at which each eighth of the batch was there."""
    from activelora.acquisition.cover import Cover

    points = embeddings(num, num_features) if path is None else np.load(path, mmap_mode="r")
    eighths = []
    with clock.running():
        cover, picks = Cover(points[:-LABELED], points[-LABELED:]), []
        for number in range(1, batch + 1):
            row, _ = cover.farthest()
            picks.append(row)
            cover.add(row)
            if number * 8 % batch == 0:
                eighths.append(clock.so_far())
    return {"picks": picks, "eighths": eighths, "distances": cover.num_distances / (num * (batch + LABELED))}


def scikit_activeml(clock: Clock, num: int, num_features: int, batch: int) -> dict[str, Any]:
    """Return the picks of scikit-activeml."""
    from skactiveml.pool import CoreSet

    points, labels = embeddings(num, num_features), np.full(num, np.nan)
    labels[-LABELED:] = 0
    with clock.running():
        picks = CoreSet(random_state=0).query(points, labels, batch_size=batch)
    return {"picks": [int(row) for row in picks]}


def small_text(clock: Clock, num: int, num_features: int, batch: int) -> dict[str, Any]:
    """Return the picks of small-text."""
    from small_text.query_strategies.coresets import greedy_coreset

    points, rows = embeddings(num, num_features), np.arange(num)
    with clock.running():
        picks = greedy_coreset(points, rows[:-LABELED], rows[-LABELED:], batch, distance_metric="euclidean")
    return {"picks": [int(row) for row in picks]}


def run(repetitions: int) -> Iterator[Row]:
    """Compare with the peers, then measure a million alone."""
    sizes = {"num": 50_000, "num_features": 768, "batch": 200}
    for peer, most in PEERS.items():
        try:
            yield _compared(peer, sizes, min(repetitions, most))
        except NotInstalledError as error:
            print(f"left out: {peer}: {error}")
    yield from _million()


def _compared(peer: str, sizes: dict[str, int], repetitions: int) -> Row:
    pairs: list[tuple[Measured, Measured]] = []
    for _ in range(repetitions):
        mine = measure("benchmarks.core_set:ours", **sizes)
        pairs.append((mine, measure(f"benchmarks.core_set:{peer.replace('-', '_')}", **sizes)))
    mine, theirs = pairs[-1]
    same = sum(one == two for one, two in zip(mine.value["picks"], theirs.value["picks"], strict=True))
    return Row(
        "50,000 × 768, b 200, one thread",
        f"{peer} {importlib.metadata.version(peer)}",
        tuple(other.cpu_seconds / own.cpu_seconds for own, other in pairs),
        f"{same} of {sizes['batch']} picks the same, in the same order",
        same == sizes["batch"],
        {
            "our_cpu_seconds": min(own.cpu_seconds for own, _ in pairs),
            "their_cpu_seconds": min(other.cpu_seconds for _, other in pairs),
            "our_peak_gb": mine.peak_gb,
            "their_peak_gb": theirs.peak_gb,
        },
    )


def _million() -> Iterator[Row]:
    curves: dict[str, Measured] = {}
    for size in SIZES:
        curves[f"{size:,}"] = measure("benchmarks.core_set:ours", threads=2, **(MILLION | {"num": size}))
    _plot(curves)
    whole = curves[f"{SIZES[-1]:,}"]
    yield _alone("1,000,000 × 384, b 1,000, two threads", whole, "", 8.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "embeddings.npy"
        embeddings_file(path, MILLION["num"], MILLION["num_features"])
        mapped = measure("benchmarks.core_set:ours", threads=2, path=str(path), **MILLION)
    same = sum(one == two for one, two in zip(mapped.value["picks"], whole.value["picks"], strict=True))
    agreement = f"{same} of {MILLION['batch']} picks as from memory"
    yield _alone("the same, embeddings in a memory-mapped file", mapped, agreement, 8.0, same == MILLION["batch"])


def _alone(case: str, found: Measured, agreement: str, most_gb: float, agrees: bool = True) -> Row:
    figures = {
        "our_cpu_seconds": found.cpu_seconds,
        "our_seconds": found.seconds,
        "our_peak_gb": found.peak_gb,
        "share_of_distances": found.value["distances"],
    }
    return Row(case, "", (), agreement, agrees, figures, limits={"our_peak_gb": most_gb})


def _plot(curves: dict[str, Measured]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for name, found in curves.items():
        eighths = found.value["eighths"]
        right.plot([MILLION["batch"] * (place + 1) // 8 for place in range(8)], eighths, marker="o", label=f"N {name}")
    left.plot(SIZES, [found.cpu_seconds for found in curves.values()], marker="o")
    left.set(xlabel="pool N (b = 1,000, D = 384)", ylabel="CPU seconds", ylim=(0, None))
    right.set(xlabel="batch b", ylabel="CPU seconds", ylim=(0, None))
    right.legend()
    figure.savefig(RESULTS / "core_set.png", dpi=120, metadata={"Software": None})
