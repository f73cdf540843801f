"""BatchBALD: the same batch as other libraries, and one of 50 out of 20,000 items with 77 answers."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator

import numpy as np

from benchmarks.drawn_pools import samples
from benchmarks.measuring import Clock, NotInstalledError, measure
from benchmarks.result import Row

SUMMARY = "BatchBALD over drawn samples; CPU seconds of one thread, ours and the peer in turn."
NOTES = (
    "We draw 20,000 joint answers; scikit-activeml 10,000 and baal 500 for each of 20 samples: the last picks "
    "depend on the draws. baal returns a ranking that it fills with zeros below a gain of 0.1 nats: its picks before "
    "that are compared.",
)
PAIRED = {"num": 5_000, "num_samples": 20, "num_answers": 4, "batch": 10}
LARGE = {"num": 20_000, "num_samples": 20, "num_answers": 77, "batch": 50}
LEAST_SAME = 0.8
"""Of the picks: two runs of one library with other draws differ as much."""


def ours(clock: Clock, num: int, num_samples: int, num_answers: int, batch: int) -> list[int]:
    """Return our picks."""
    from activelora.acquisition.batch_bald import greedy

    probs = samples(num, num_samples, num_answers)
    with clock.running():
        return [row for row, _ in greedy(probs, batch, 20_000, seed=0)]


def scikit_activeml(clock: Clock, num: int, num_samples: int, num_answers: int, batch: int) -> list[int]:
    """Return the picks of scikit-activeml."""
    from skactiveml.pool import batch_bald

    probs = np.ascontiguousarray(samples(num, num_samples, num_answers).transpose(1, 0, 2))
    with clock.running():
        utilities = batch_bald(probs, batch, n_MC_samples=10_000, random_state=0)
    return [int(row) for row in np.nanargmax(utilities, axis=1)]


def baal(clock: Clock, num: int, num_samples: int, num_answers: int, batch: int) -> list[int]:
    """Return the first picks of baal's ranking, as far as it made any."""
    from baal.active.heuristics import BatchBALD

    probs = np.ascontiguousarray(samples(num, num_samples, num_answers).transpose(0, 2, 1))
    with clock.running():
        ranking = BatchBALD(num_samples=batch, num_draw=500)(probs)
    return before_filling([int(row) for row in ranking[:batch]])


def before_filling(ranking: list[int]) -> list[int]:
    """Return the picks of a ranking that may be filled up with zeros."""
    picks = list(dict.fromkeys(ranking))
    return picks[:-1] if len(picks) < len(ranking) and picks[-1] == 0 else picks


def run(repetitions: int) -> Iterator[Row]:
    """Compare with the peers, then measure the large batch alone."""
    for peer, most in {"scikit-activeml": 3, "baal": 1}.items():
        try:
            yield _compared(peer, min(repetitions, most))
        except NotInstalledError as error:
            print(f"left out: {peer}: {error}")
    alone = measure("benchmarks.batch_bald:ours", **LARGE)
    figures = {"our_cpu_seconds": alone.cpu_seconds, "our_peak_gb": alone.peak_gb}
    yield Row("20,000 items, K 20, C 77, b 50, all candidates", figures=figures, limits={"our_peak_gb": 4.0})


def _compared(peer: str, repetitions: int) -> Row:
    pairs = [
        (measure("benchmarks.batch_bald:ours", **PAIRED), measure(f"benchmarks.batch_bald:{function}", **PAIRED))
        for function in [peer.replace("-", "_")] * repetitions
    ]
    mine, theirs = pairs[-1]
    same, most = len({*mine.value} & {*theirs.value}), len(theirs.value)
    return Row(
        "5,000 items, K 20, C 4, b 10",
        f"{peer} {importlib.metadata.version(peer)}",
        tuple(other.cpu_seconds / own.cpu_seconds for own, other in pairs),
        f"{same} of {most} picks the same",
        most > 0 and same >= LEAST_SAME * most,
        {
            "our_cpu_seconds": min(own.cpu_seconds for own, _ in pairs),
            "their_cpu_seconds": min(other.cpu_seconds for _, other in pairs),
            "our_peak_gb": mine.peak_gb,
            "their_peak_gb": theirs.peak_gb,
        },
    )
