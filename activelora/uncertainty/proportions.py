"""Intervals for shares that are counted on few items."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson_interval(successes: int, total: int, level: float) -> tuple[float, float]:
    """Return the score interval of a share (Wilson 1927), which stays honest for few items and shares near 0 or 1.

    Args:
        successes: How often it was so.
        total: Of how many independent draws; at least 1.
        level: For example 0.95.

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


def difference_interval(one: tuple[int, int], other: tuple[int, int], level: float) -> tuple[float, float]:
    """Return the interval of the first share minus the second (Newcombe 1998, method 10: of two score intervals).

    Args:
        one: Successes and total.
        other: The same of an independent sample.
        level: For example 0.95.
    """
    (low_1, high_1), (low_2, high_2) = wilson_interval(*one, level), wilson_interval(*other, level)
    share_1, share_2 = one[0] / one[1], other[0] / other[1]
    difference = share_1 - share_2
    below = math.hypot(share_1 - low_1, high_2 - share_2)
    above = math.hypot(high_1 - share_1, share_2 - low_2)
    return difference - below, difference + above
