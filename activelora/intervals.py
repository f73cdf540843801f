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
    if not 0 <= successes <= total or total < 1:
        raise ValueError(f"{successes} of {total} is no share")
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
    if not 0 <= successes <= total or total < 1:
        raise ValueError(f"{successes} of {total} is no share")
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else 1.0 - _share_of_tail(total - successes, total, tail)
    high = 1.0 if successes == total else _share_of_tail(successes, total, tail)
    return low, high


def _share_of_tail(most: int, total: int, tail: float) -> float:
    """Return the share p at which at most ``most`` of ``total`` draws, fewer than all, have probability ``tail``."""
    ways = [math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) for k in range(most + 1)]
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        share = (low + high) / 2
        logs = [way + k * math.log(share) + (total - k) * math.log1p(-share) for k, way in enumerate(ways)]
        if math.fsum(map(math.exp, logs)) > tail:
            low = share
        else:
            high = share
    return (low + high) / 2
