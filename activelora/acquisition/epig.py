"""EPIG: the items whose labels tell most about other items' answers (Bickford Smith et al. 2023, arXiv 2304.08151).

score = mean_t I(y; y_t) in nats, the expected predictive information gain: what the item's answer y tells about the
answer y_t of a target, on average over T targets drawn from the pool by the campaign's seed. BALD counts what a label
tells about the weights, whether or not any prediction hangs on it; EPIG counts what it tells about predictions.
I(y; y_t) = H[y] + H[y_t] − H[y, y_t], with the joint distribution (1/K) Σ_k p_k(y) p_k(y_t): given the weights,
answers are independent.

What a label tells about a prediction is no more than what it tells about the weights (BALD). The time grows with
N·T·C²: 20 s for 5,000 items and 77 answers on one core; the memory is bounded by blocks.
Letters: N unlabelled items, K samples, C answers, T targets, B items of a block.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from activelora.acquisition.checked import by_id, samples
from activelora.acquisition.clusters import sample
from activelora.acquisition.strategy import SAMPLES, FloatArray, Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import measure, top
from activelora.config.acquisition import EpigConfig
from activelora.progress import track
from activelora.seeding import derive_seed

BLOCK_NUMBERS = 1_000_000
"""Float64 numbers in a block of joint probabilities: 8 MB."""
ITEMS = 256
"""Items whose samples are in memory at once."""
DECIMALS = 9
"""Scores are rounded to a nanonat, so that equal items are equal whatever the order of a sum."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking."""
    scores_N = measure(pool, "bald")
    targets = 0
    if len(scores_N) > 1 and np.ptp(scores_N) > 0:
        log_probs_NKC, order = samples(pool), by_id(pool)
        rows = order[sample(len(order), context.settings.targets, derive_seed(context.seed, "epig"))]
        scores_N, targets = information(log_probs_NKC, np.exp(log_probs_NKC[rows])), len(rows)

    def describe(index: int) -> str:
        return f"tells {scores_N[index]:.4f} nats about an answer, on average over {targets} items"

    return top(pool, scores_N, num, describe, seed=context.seed)


def information(log_probs_NKC: FloatArray, targets_TKC: FloatArray) -> FloatArray:
    """Return scores_N, in nats.

    Args:
        log_probs_NKC: The samples' log-probabilities; they may lie in a file.
        targets_TKC: The targets' probabilities; T at least 1.
    """
    starts = range(0, len(log_probs_NKC), ITEMS)
    parts = [
        _score(np.exp(log_probs_NKC[begin : begin + ITEMS]), targets_TKC)
        for begin in track(starts, "weighing predictions", len(starts))
    ]
    return np.concatenate(parts)


def _score(probs_BKC: FloatArray, targets_TKC: FloatArray) -> FloatArray:
    """Return mean_t I(y; y_t) of some items."""
    (num_items, num_samples, num_answers), num_targets = probs_BKC.shape, len(targets_TKC)
    joint_B = np.zeros(num_items)
    for some in _slices(num_targets, num_answers**2):
        flat_KX = targets_TKC[some].transpose(1, 0, 2).reshape(num_samples, -1) / num_samples
        for rows in _slices(num_items, num_answers * flat_KX.shape[1]):
            flat_XK = probs_BKC[rows].transpose(0, 2, 1).reshape(-1, num_samples)
            pairs_XX = flat_XK @ flat_KX
            joint_B[rows] += _entropy(pairs_XX.reshape(-1, num_answers * flat_KX.shape[1]))
    apart_B = _entropy(probs_BKC.mean(axis=1)) + _entropy(targets_TKC.mean(axis=1)).mean()
    scores_B: FloatArray = np.round(np.maximum(apart_B - joint_B / num_targets, 0.0), DECIMALS)
    return scores_B


def _slices(num: int, width: int) -> Iterator[slice]:
    """Yield slices of that many rows of a width that fit into a block, at least one row each."""
    size = max(1, BLOCK_NUMBERS // max(1, width))
    for begin in range(0, num, size):
        yield slice(begin, min(begin + size, num))


def _entropy(probs: FloatArray) -> FloatArray:
    """Return −Σ p ln p over the last axis, with 0 ln 0 = 0."""
    logs = np.log(np.maximum(probs, np.finfo(np.float64).tiny))
    return -np.asarray(np.einsum("...x,...x->...", probs, logs), dtype=np.float64)


STRATEGY = Strategy(
    "epig",
    "mean_t I(y; y_t): what the answer tells about the answers of items drawn from the pool",
    select,
    needs=frozenset({SAMPLES}),
    needs_answers=True,
    measures=("bald",),
    settings=EpigConfig,
)
