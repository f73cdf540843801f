"""STAR's dynamic uncertainty: trust the base model at first, the adapter later (arXiv 2403.01165; docs/methods.md).

Letters: N unlabelled items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def base_share(round_: int, num_rounds: int) -> float:
    """Return λ, the base model's share in the query of a round: 1 − round/R, at least 0.

    The paper's λ_t = 1 − (t+1)/R counts the queries that an adapter makes, t = 0, 1, .... Here round 0 has no adapter,
    so its query is the paper's seed set, and round r makes the paper's query t = r − 1. Ten rounds give 1 before any
    training, then 0.9 ... 0.1.

    Args:
        round_: The round whose pool is scored, from 0.
        num_rounds: R, the planned queries, round 0's included.
    """
    return max(0.0, 1.0 - round_ / num_rounds)


def dynamic_uncertainty(
    base_N: FloatArray, tuned_N: FloatArray, share: float, scaling: Literal["minmax", "rank"] = "minmax"
) -> FloatArray:
    """Return u = λ·û_b + (1−λ)·û_f, in [0, 1], where û is scaled over the N items on both sides.

    An increasing affine map of either side changes nothing: nats, sums and probabilities can be mixed.

    Args:
        base_N: u_b, the uncertainty under the base model.
        tuned_N: u_f, under base and adapter with Monte-Carlo dropout.
        share: λ in [0, 1]. 1 is the ranking by u_b alone, 0 by u_f alone.
        scaling: ``minmax``, or ``rank``, which outliers do not squeeze.

    Raises:
        ValueError: The two do not have the same length, or λ is no share.
    """
    if base_N.shape != tuned_N.shape or base_N.ndim != 1:
        raise ValueError(f"base_N {base_N.shape} and tuned_N {tuned_N.shape} must be two vectors of one length")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"the base model's share must be in [0, 1], not {share}")
    scale = SCALINGS[scaling]
    return share * scale(base_N) + (1.0 - share) * scale(tuned_N)


def scale_minmax(scores_N: FloatArray) -> FloatArray:
    """Return (u − min) / (max − min); zeros where all are equal.

    Raises:
        ValueError: A score is NaN or infinite.
    """
    _check_finite(scores_N)
    if len(scores_N) == 0:
        return scores_N.astype(np.float64)
    lowest, highest = scores_N.min(), scores_N.max()
    if lowest == highest:
        return np.zeros(len(scores_N))
    return np.asarray((scores_N - lowest) / (highest - lowest), dtype=np.float64)


def scale_rank(scores_N: FloatArray) -> FloatArray:
    """Return each score's rank from 0 to 1; equal scores share the mean of their ranks; zeros where all are equal.

    Raises:
        ValueError: A score is NaN or infinite.
    """
    _check_finite(scores_N)
    values, index_N, counts = np.unique(scores_N, return_inverse=True, return_counts=True)
    if len(values) < 2:
        return np.zeros(len(scores_N))
    mean_ranks = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(mean_ranks[index_N] / (len(scores_N) - 1), dtype=np.float64)


SCALINGS: dict[str, Callable[[FloatArray], FloatArray]] = {"minmax": scale_minmax, "rank": scale_rank}


def _check_finite(scores_N: FloatArray) -> None:
    if not np.isfinite(scores_N).all():
        raise ValueError(f"score {int(np.isfinite(scores_N).argmin())} is {scores_N[~np.isfinite(scores_N)][0]}")
