"""Two rounds on the same holdout, item by item: which of them is better, and whether that can be chance.

Intervals of two rounds that overlap say little: both rounds answered the same items, and agree on most of them. What
counts are the items on which they differ. For right and wrong answers that is McNemar's test (1947), exact: of the
items that only one of the rounds answers rightly, each is as likely to be the one's as the other's if both are alike.
For numbers it is the paired bootstrap of the difference of RMSEs.

Letters: N items that both rounds answered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from activelora.evaluation import bootstrap
from activelora.evaluation.classification_metrics import FloatArray


@dataclass(frozen=True)
class Paired:
    """What the later round gained over the earlier one.

    Attributes:
        num_items: N.
        gain: Accuracy gained, or RMSE lost: above 0 is better.
        low: Lower end of the gain's interval, by the paired bootstrap.
        high: Upper end.
        num_won: Items that became right; for numbers, that came nearer.
        num_lost: Items that became wrong, or went farther.
        p_value: McNemar's exact two-sided p-value; None for numbers.
        level: Confidence level, in (0, 1).
    """

    num_items: int
    gain: float
    low: float
    high: float
    num_won: int
    num_lost: int
    p_value: float | None
    level: float

    @property
    def is_sure(self) -> bool:
        """Whether chance does not explain the difference, at the level."""
        if self.p_value is not None:
            return self.p_value < 1.0 - self.level
        return self.low > 0 or self.high < 0


def compare(before: pa.Table, after: pa.Table, *, level: float, num_resamples: int, seed: int) -> Paired | None:
    """Compare two rounds by their predictions of the holdout.

    Args:
        before: Predictions of the earlier round: ``item_id``, ``label``, ``predicted``, and ``correct`` where that is
            not their equality.
        after: The same of the later round.
        level: Confidence level, for example 0.95.
        num_resamples: Bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        None where the rounds answered no item in common.
    """
    first, second = _rows(before), _rows(after)
    ids = [item_id for item_id in first if item_id in second]
    if not ids:
        return None
    options = {"num_resamples": num_resamples, "level": level, "seed": seed}
    if pa.types.is_floating(before.schema.field("label").type):
        return _numbers(_errors(first, ids), _errors(second, ids), **options)
    return _answers(_correct(first, ids), _correct(second, ids), **options)


def mcnemar(num_won: int, num_lost: int) -> float:
    """Return the two-sided p-value of a fair coin that fell so unequally; 1 where nothing differs."""
    total, fewer = num_won + num_lost, min(num_won, num_lost)
    tail = sum(math.comb(total, count) for count in range(fewer + 1))
    return min(1.0, 2 * tail / 2**total)


Rows = dict[str, dict[str, object]]


def _rows(table: pa.Table) -> Rows:
    names = [name for name in ("item_id", "label", "predicted", "correct") if name in table.column_names]
    return {row["item_id"]: row for row in table.select(names).to_pylist()}


def _correct(rows: Rows, ids: list[str]) -> FloatArray:
    found = (rows[item_id] for item_id in ids)
    return np.array([bool(row.get("correct", row["label"] == row["predicted"])) for row in found], dtype=np.float64)


def _errors(rows: Rows, ids: list[str]) -> FloatArray:
    found = (rows[item_id] for item_id in ids)
    return np.array([(row["predicted"] - row["label"]) ** 2 for row in found], dtype=np.float64)  # type: ignore[operator]


def _answers(before_N: FloatArray, after_N: FloatArray, *, num_resamples: int, level: float, seed: int) -> Paired:
    gain_N = after_N - before_N
    low, high = bootstrap.percentile_interval(
        bootstrap.mean_of(gain_N), len(gain_N), num_resamples=num_resamples, level=level, seed=seed
    )
    won, lost = int((gain_N > 0).sum()), int((gain_N < 0).sum())
    return Paired(len(gain_N), float(gain_N.mean()), low, high, won, lost, mcnemar(won, lost), level)


def _numbers(before_N: FloatArray, after_N: FloatArray, *, num_resamples: int, level: float, seed: int) -> Paired:
    def gain(weights_BN: FloatArray) -> FloatArray:
        return np.asarray(np.sqrt(weights_BN @ before_N) - np.sqrt(weights_BN @ after_N))

    num = len(before_N)
    low, high = bootstrap.percentile_interval(gain, num, num_resamples=num_resamples, level=level, seed=seed)
    measured = float(gain(np.full((1, num), 1.0 / num))[0])
    won, lost = int((after_N < before_N).sum()), int((after_N > before_N).sum())
    return Paired(num, measured, low, high, won, lost, None, level)
