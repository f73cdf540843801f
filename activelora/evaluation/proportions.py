"""Intervals for shares that are counted on few items."""

from __future__ import annotations

import math

from activelora.intervals import wilson_interval


def difference_interval(one: tuple[int, int], other: tuple[int, int], level: float) -> tuple[float, float]:
    """Return the interval of the first share minus the second (Newcombe 1998, method 10: of two score intervals).

    Args:
        one: Successes and total.
        other: The same of an independent sample.
        level: Confidence level, for example 0.95.
    """
    (low_1, high_1), (low_2, high_2) = wilson_interval(*one, level), wilson_interval(*other, level)
    share_1, share_2 = one[0] / one[1], other[0] / other[1]
    difference = share_1 - share_2
    below = math.hypot(share_1 - low_1, high_2 - share_2)
    above = math.hypot(high_1 - share_1, share_2 - low_2)
    return difference - below, difference + above
