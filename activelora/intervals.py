"""The interval of a share that is counted on few items, which stopping and evaluation both need."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson_interval(successes: int, total: int, level: float) -> tuple[float, float]:
    """Return the score interval of a share (Wilson 1927), which stays honest for few items and shares near 0 or 1.

    Args:
        successes: How often it was so.
        total: Number of independent draws; at least 1.
        level: Confidence level, for example 0.95.

    Raises:
        ValueError: The counts cannot be.
    """
    _refuse(successes, total)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share, scale = successes / total, 1.0 + z * z / total
    middle = (share + z * z / (2 * total)) / scale
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == total else min(1.0, middle + half)
    return low, high


def exact_interval(successes: int, total: int, level: float) -> tuple[float, float]:
    """Return the exact interval of a share (Clopper and Pearson 1934): it covers at least as often as it says.

    Args:
        successes: How often it was so.
        total: Number of independent draws; at least 1.
        level: Confidence level, for example 0.95.

    Raises:
        ValueError: The counts cannot be.
    """
    _refuse(successes, total)
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, total - successes + 1, tail))
    high = 1.0 if successes == total else float(betaincinv(successes + 1, total - successes, 1 - tail))
    return low, high


def _refuse(successes: int, total: int) -> None:
    if not 0 <= successes <= total or total < 1:
        raise ValueError(f"{successes} of {total} is no share")
