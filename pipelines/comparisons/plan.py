"""What a comparison will be able to tell, said before it starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from activelora.comparison.measured import CONTROL
from activelora.comparison.power import ITEM_DEVIATION, SEED_DEVIATION, planned_error, smallest_detectable
from activelora.kinds.registry import headline_of
from activelora.pool.inspect import DataSummary
from activelora.quantities import quantity
from pipelines.comparisons.arms import SELF_TRAINING, parse_arm
from pipelines.comparisons.grid import Cell

HOPELESS = 0.08
"""A detectable difference above this is warned about: strategies rarely differ by more (a share)."""
HOPELESS_DEVIATIONS = 2.0
"""The same where the metric's spread is not known before: in standard deviations by seed, HOPELESS ÷ SEED_DEVIATION."""
LARGEST_SHARE = 0.2
"""A budget above this share of the pool is warned about: strategies that take most of it end with the same labels."""
_MOST_SEEDS = 64
_ONE_SEED = "warning: one seed cannot tell a difference between methods from luck; give --seeds five or more"


def plan(cells: Sequence[Cell], data: DataSummary | None) -> list[str]:
    """Return what is planned, the smallest detectable difference, and warnings.

    Args:
        cells: The campaigns of the comparison.
        data: What their data hold.
    """
    config, num_seeds = cells[0].config, len({cell.seed for cell in cells})
    methods = {cell.method for cell in cells}
    num_compared = max(1, len(methods) - 1)
    lines = [
        f"{quantity(len(methods), 'method')} × {quantity(num_seeds, 'seed')}: {quantity(len(cells), 'campaign')} of "
        f"{quantity(config.label_budget, 'label')}, each against {CONTROL}"
    ]
    trained = sorted({cell.method.strategy for cell in cells if parse_arm(cell.method.strategy).trains_itself})
    if trained and config.max_round < 2:
        lines.append(
            f"warning: {', '.join(trained)}: the pseudo-labels of `{SELF_TRAINING}` begin in round 2, and round "
            f"{config.max_round} is the last; set stopping.max_rounds to 2 or more"
        )
    if data is None:
        return lines
    headline = headline_of(config)
    if num_seeds < 2:
        lines.append(_ONE_SEED)
    elif headline.counts_items:
        lines += _power(num_seeds, data.num_holdout, num_compared)
    else:
        lines += _power_in_deviations(num_seeds, num_compared, headline.word)
    pool = data.num_pool - data.num_known if config.known_labels == "train" else data.num_pool
    if config.label_budget > LARGEST_SHARE * pool:
        lines.append(
            f"warning: the budget of {quantity(config.label_budget, 'label')} is "
            f"{config.label_budget / pool:.0%} of the pool of {quantity(pool, 'item')}: strategies that leave little "
            f"out differ little; take a larger pool or {LARGEST_SHARE:.0%} of it at most"
        )
    return lines


def _power(num_seeds: int, num_items: int, num_compared: int) -> list[str]:
    size = _detectable(num_seeds, num_items, num_compared)
    lines = [
        f"smallest detectable difference in AULC: {_points(size)} (found in 4 of 5 such comparisons, "
        f"{quantity(num_items, 'holdout item')}; seeds are taken to differ by {100 * SEED_DEVIATION:.0f} points, as in "
        "this project's measurements)"
    ]
    if size > HOPELESS:
        enough = _enough(num_seeds, HOPELESS, lambda seeds: _detectable(seeds, num_items, num_compared))
        remedy = "a larger holdout is needed" if enough is None else f"{enough} seeds would find {100 * HOPELESS:.0f}"
        lines.append(
            "warning: strategies rarely differ by more than that, so that this comparison will most likely find "
            f"nothing, whichever is better; {remedy}"
        )
    return lines


def _power_in_deviations(num_seeds: int, num_compared: int, word: str) -> list[str]:
    """Of a metric whose spread nobody knows before: as a multiple of how much the difference varies by seed."""

    def detectable(num_seeds: int) -> float:
        return smallest_detectable(planned_error(num_seeds, 0, 1.0, 0.0), num_compared)

    size = detectable(num_seeds)
    lines = [
        f"smallest detectable difference in AULC of {word}: about {size:.1f} times the standard deviation by which "
        "seeds differ (found in 4 of 5 such comparisons; what few holdout items of a label add is not counted)"
    ]
    if size > HOPELESS_DEVIATIONS:
        enough = _enough(num_seeds, HOPELESS_DEVIATIONS, detectable)
        lines.append(
            "warning: so large a difference is rare: this comparison will most likely find nothing, whichever is "
            f"better; {enough} seeds would find {HOPELESS_DEVIATIONS:g} standard deviations"
        )
    return lines


def _enough(num_seeds: int, hopeless: float, detectable: Callable[[int], float]) -> int | None:
    """Return how many seeds, more than there are, would find a difference that is not hopeless."""
    seeds = range(num_seeds + 1, _MOST_SEEDS)
    return next((number for number in seeds if detectable(number) <= hopeless), None)


def _points(size: float) -> str:
    return f"about {100 * size:.1f} points" if size < 1 else "more than there can be"


def _detectable(num_seeds: int, num_items: int, num_compared: int) -> float:
    return smallest_detectable(planned_error(num_seeds, num_items, SEED_DEVIATION, ITEM_DEVIATION), num_compared)
