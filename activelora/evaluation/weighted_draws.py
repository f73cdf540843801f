"""Rows of an unlabelled table drawn for people to label, the ones that tell most about a model more often.

Active testing (Kossen, Farquhar, Gal and Rainforth 2021, arXiv 2103.05331): M of N rows are drawn one after another,
without replacement. With R the rows left before draw m, of which there are N − m + 1, row i of them is drawn with

    q_m(i) = (1 − τ) · u_i / Σ_R u + τ / (N − m + 1).

u_i is the square root of the expected squared residual of what is estimated, which has the least variance where the
model's probabilities are right: of 0/1 loss √(p(1 − p)), p being the probability of the predicted label. τ, the uniform
share, bounds every draw's weight by 1/τ, however sure the model is of a wrong answer. Nothing here looks at a label, so
that all draws are made before the first one is labelled, and any first part of them is a sample of the same kind.

Letters: N rows, M draws.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from activelora.evaluation.classification_metrics import FloatArray, IntArray

UNIFORM_SHARE = 0.7
"""τ. Smaller ones estimate a little better where the model knows what it does not know, with intervals that are no
narrower, and worse where it is sure of wrong answers: see ``benchmarks/active_testing.py``."""


class Draws(NamedTuple):
    """What was drawn, in the order of drawing.

    Attributes:
        rows_M: Indices of the rows, each once.
        probability_M: q_m of the row that was drawn, among the rows that were left.
    """

    rows_M: IntArray
    probability_M: FloatArray


def scores(expected_error_N: FloatArray) -> FloatArray:
    """Return u_N = √(e(1 − e)), in [0, 0.5].

    Args:
        expected_error_N: e, the probability that the model gives to its own answer being wrong.
    """
    return np.sqrt(np.clip(expected_error_N * (1.0 - expected_error_N), 0.0, None))


def first_probabilities(scores_N: FloatArray, uniform_share: float) -> FloatArray:
    """Return q_1 of all N rows, which sum to 1.

    Args:
        scores_N: u, at least 0.
        uniform_share: τ, in (0, 1].
    """
    total = float(scores_N.sum())
    uniform_N = np.full(len(scores_N), 1.0 / len(scores_N))
    return uniform_N if total <= 0.0 else (1.0 - uniform_share) * scores_N / total + uniform_share * uniform_N


def draw(scores_N: FloatArray, num_draws: int, uniform_share: float, seed: int) -> Draws:
    """Draw rows by the module's formula; where no row left has a score, all alike.

    Args:
        scores_N: u, at least 0.
        num_draws: M, 1 to N.
        uniform_share: τ, in (0, 1].
        seed: Seed of the draws; the same one draws the same rows of the same scores.

    Raises:
        ValueError: A number is out of its range.
    """
    if not 1 <= num_draws <= len(scores_N):
        raise ValueError(f"{num_draws} of {len(scores_N)} rows cannot be drawn")
    if not 0.0 < uniform_share <= 1.0:
        raise ValueError(f"a uniform share of {uniform_share} is not in (0, 1]")
    if not np.isfinite(scores_N).all() or (scores_N < 0).any():
        raise ValueError("scores_N has NaN, infinity or a number below 0")
    generator = np.random.default_rng(seed)
    left_N, is_left_N = scores_N.astype(np.float64), np.ones(len(scores_N), dtype=bool)
    rows_M, probability_M = np.empty(num_draws, dtype=np.int64), np.empty(num_draws)
    for m in range(num_draws):
        total, num_left = float(left_N.sum()), len(scores_N) - m
        share = uniform_share if total > 0.0 else 1.0
        if generator.random() < share:
            row = int(np.flatnonzero(is_left_N)[int(generator.random() * num_left)])
        else:
            cumulated_N = np.cumsum(left_N)  # its last rounds otherwise than the sum
            row = int(np.searchsorted(cumulated_N, generator.random() * cumulated_N[-1], side="right"))
        by_score = (1.0 - share) * left_N[row] / total if share < 1.0 else 0.0
        rows_M[m], probability_M[m] = row, by_score + share / num_left
        is_left_N[row], left_N[row] = False, 0.0
    return Draws(rows_M, probability_M)
