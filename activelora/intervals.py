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
