"""How small a difference a comparison would find: the power of its paired tests.

The test is that of :mod:`activelora.comparison.statistics`; its statistic follows a noncentral t distribution where a
difference is there. Letters: S seeds, N items.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SEED_DEVIATION = 0.04
"""Standard deviation by seed of the paired difference of two strategies' AULC, in shares: about what the comparisons in
`benchmarks/results` show with 2 to 8 seeds of a 135M model (2 points on AG News, 3 on SST-2, 6 on TREC-6)."""
ITEM_DEVIATION = 0.25
"""Standard deviation by holdout item of the same difference, averaged over seeds and rounds."""
POWER = 0.8
"""Share of comparisons that find a difference of the size that is called detectable."""
_QUANTILES = (np.arange(2000) + 0.5) / 2000


@dataclass(frozen=True)
class MeanError:
    """How uncertain the mean of paired differences is.

    Attributes:
        deviation: Its standard error, in the metric's unit.
        freedom: Degrees of freedom of the estimate; 0 where nothing is known of seeds.
    """

    deviation: float
    freedom: float


def planned_error(num_seeds: int, num_items: int, seed_deviation: float, item_deviation: float) -> MeanError:
    """Return the standard error that a crossed design will have, with Satterthwaite's degrees of freedom.

    Args:
        num_seeds: S.
        num_items: N holdout items, the same for all seeds.
        seed_deviation: Standard deviation of a seed's mean difference, which other items would not change.
        item_deviation: Standard deviation of an item's mean difference, which other seeds would not change.
    """
    if num_seeds < 2:
        return MeanError(math.inf, 0.0)
    seed_part, item_part = seed_deviation**2 / num_seeds, item_deviation**2 / max(num_items, 1)
    variance = seed_part + item_part
    if num_seeds == 2 or variance == 0 or num_items < 2:
        return MeanError(math.sqrt(variance), float(num_seeds - 1))
    freedom = variance**2 / (seed_part**2 / (num_seeds - 1) + item_part**2 / (num_items - 1))
    return MeanError(math.sqrt(variance), freedom)


def smallest_detectable(error: MeanError, num_compared: int = 1, alpha: float = 0.05, power: float = POWER) -> float:
    """Return the true difference that a two-sided test finds with the given probability.

    Of several methods the first step of Holm's correction is taken, which divides alpha by their number. Infinite where
    nothing is known of seeds.

    Args:
        error: Standard error and degrees of freedom of the mean difference.
        num_compared: Methods whose p-values are corrected together.
        alpha: Significance level, in (0, 1).
        power: Probability to find it, in (alpha, 1).
    """
    if error.freedom <= 0 or not math.isfinite(error.deviation):
        return math.inf
    if error.deviation == 0:
        return 0.0
    from scipy.optimize import brentq
    from scipy.stats import t as student

    critical = float(student.isf(alpha / max(num_compared, 1) / 2, error.freedom))
    highest = critical + 1.0
    while found_with(highest, critical, error.freedom) < power:
        highest *= 2.0
    shift = brentq(lambda shift: found_with(shift, critical, error.freedom) - power, 0.0, highest)
    return float(shift) * error.deviation


def found_with(shift: float, critical: float, freedom: float) -> float:
    """Return P(|T| > critical) of a noncentral t distribution, as the mean over quantiles of its chi-square part.

    Args:
        shift: Noncentrality, the true difference in standard errors.
        critical: Threshold of |T|.
        freedom: Degrees of freedom, above 0.
    """
    from scipy.stats import chi2, norm

    thresholds = critical * np.sqrt(chi2.ppf(_QUANTILES, freedom) / freedom)
    return float(np.mean(norm.sf(thresholds - shift) + norm.cdf(-thresholds - shift)))
