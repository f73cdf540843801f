"""Pools drawn by seed, alike in every process: what selection is measured on.

Letters: N items, K samples, C answers, D features.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOPICS, RANK = 100, 32


def embeddings(num: int, num_features: int, seed: int = 0) -> NDArray[np.float32]:
    """Return embeddings_ND like a language model's: topics in a few directions, noise in all, off the origin."""
    blocks = [_block(size, num_features, seed, number) for number, size in enumerate(_sizes(num))]
    return np.concatenate(blocks)


def embeddings_file(path: Path, num: int, num_features: int, seed: int = 0) -> None:
    """Write the same numbers as :func:`embeddings` to a `.npy` file, a block at a time."""
    file = np.lib.format.open_memmap(path, "w+", np.float32, (num, num_features))
    begin = 0
    for number, size in enumerate(_sizes(num)):
        file[begin : begin + size] = _block(size, num_features, seed, number)
        begin += size
    file.flush()


def samples(num: int, num_samples: int, num_answers: int, seed: int = 0) -> NDArray[np.float64]:
    """Return probs_NKC: items differ in what they are, samples in what they think of them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 2.0, (num, 1, num_answers)) + rng.normal(0.0, 0.7, (num, num_samples, num_answers))
    logits -= logits.max(axis=-1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=-1, keepdims=True)
    return np.asarray(logits)


def _sizes(num: int, size: int = 50_000) -> list[int]:
    return [min(size, num - begin) for begin in range(0, num, size)]


def _block(num: int, num_features: int, seed: int, number: int) -> NDArray[np.float32]:
    shared = np.random.default_rng([seed, 0])
    topics = 3.0 * shared.standard_normal((TOPICS, RANK), dtype=np.float32)
    directions = shared.standard_normal((RANK, num_features), dtype=np.float32)
    middle_D = 5.0 * shared.standard_normal(num_features, dtype=np.float32)
    rng = np.random.default_rng([seed, 1, number])
    inner = topics[rng.integers(0, TOPICS, num)] + rng.standard_normal((num, RANK), dtype=np.float32)
    noise_ND = rng.standard_normal((num, num_features), dtype=np.float32)
    return np.asarray(inner @ directions + 2.0 * noise_ND + middle_D)
