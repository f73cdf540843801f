"""Two rounds on the same holdout, item by item: which of them is better, and whether that can be chance.

Intervals of two rounds that overlap say little: both rounds answered the same items, and agree on most of them. What
counts are the items on which they differ. For right and wrong answers that is McNemar's test (1947), exact: of the
items that only one of the rounds answers rightly, each is as likely to be the one's as the other's if both are alike.
For numbers it is the paired bootstrap of the difference of RMSEs, and so it is for a metric of all items at once, such
as average precision: both rounds are measured on the same resamples.

Letters: N items that both rounds answered, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from activelora.evaluation import bootstrap
from activelora.evaluation.classification_metrics import FloatArray, IntArray
from activelora.evaluation.item_scores import choices_in


@dataclass(frozen=True)
class Paired:
    """What the later round gained over the earlier one.

    Attributes:
        num_items: N.
        gain: Accuracy (or another metric) gained, or RMSE lost: above 0 is better.
        low: Lower end of the gain's interval, by the paired bootstrap.
        high: Upper end.
        num_won: Items that became right; for numbers, that came nearer; None for a metric of all items at once.
        num_lost: Items that became wrong, or went farther.
        p_value: McNemar's exact two-sided p-value; None for numbers and other metrics.
        level: Confidence level, in (0, 1).
    """

    num_items: int
    gain: float
    low: float
    high: float
    num_won: int | None
    num_lost: int | None
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
    if pa.types.is_floating(before.schema.field("label").type):
        errors = _errors(first, ids), _errors(second, ids)
        return _numbers(*errors, num_resamples=num_resamples, level=level, seed=seed)
    correct = _correct(first, ids), _correct(second, ids)
    return _answers(*correct, num_resamples=num_resamples, level=level, seed=seed)


def compare_metric(
    before: pa.Table,
    after: pa.Table,
    metric: Callable[[FloatArray, IntArray], bootstrap.Statistic],
    *,
    lower_is_better: bool,
    level: float,
    num_resamples: int,
    seed: int,
) -> Paired | None:
    """Compare two rounds by any metric of their predictive distributions, on the same resamples of the holdout.

    Args:
        before: Predictions of the earlier round: ``item_id``, ``label`` and ``probs``.
        after: The same of the later round.
        metric: Makes the metric of probs_NC and labels_N.
        lower_is_better: Whether a fall is a gain.
        level: Confidence level, for example 0.95.
        num_resamples: Bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        None where the rounds answered no item in common, or their answers are no choice out of several.
    """
    ids = sorted({*before["item_id"].to_pylist()} & {*after["item_id"].to_pylist()})
    found = [choices_in(_of_items(table, ids)) for table in (before, after)]
    if not ids or found[0] is None or found[1] is None:
        return None
    first, second = metric(*found[0]), metric(*found[1])
    sign, num = (-1.0 if lower_is_better else 1.0), len(ids)

    def gain(weights_BN: FloatArray) -> FloatArray:
        return sign * (second(weights_BN) - first(weights_BN))

    measured = float(gain(np.full((1, num), 1.0 / num))[0])
    if math.isnan(measured):
        return None
    low, high = bootstrap.percentile_interval(gain, num, num_resamples=num_resamples, level=level, seed=seed)
    return Paired(num, measured, low, high, None, None, None, level)


def mcnemar(num_won: int, num_lost: int) -> float:
    """Return the two-sided p-value of a fair coin that fell so unequally; 1 where nothing differs."""
    total, fewer = num_won + num_lost, min(num_won, num_lost)
    tail = sum(math.comb(total, count) for count in range(fewer + 1))
    return min(1.0, 2 * tail / int(2**total))


Rows = dict[str, dict[str, Any]]


def _rows(table: pa.Table) -> Rows:
    names = [name for name in ("item_id", "label", "predicted", "correct") if name in table.column_names]
    return {row["item_id"]: row for row in table.select(names).to_pylist()}


def _of_items(table: pa.Table, ids: list[str]) -> pa.Table:
    """Return the rows of some items, in the order of their ids."""
    return table.filter(pc.is_in(table["item_id"], pa.array(ids, type=pa.string()))).sort_by("item_id")


def _correct(rows: Rows, ids: list[str]) -> FloatArray:
    found = (rows[item_id] for item_id in ids)
    return np.array([bool(row.get("correct", row["label"] == row["predicted"])) for row in found], dtype=np.float64)


def _errors(rows: Rows, ids: list[str]) -> FloatArray:
    found = (rows[item_id] for item_id in ids)
    return np.array([(row["predicted"] - row["label"]) ** 2 for row in found], dtype=np.float64)


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
