"""score_pool's table: every measure of every item.

Letters: N items, K samples, C answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from activelora.uncertainty.measures import MEASURES


def score_table(item_ids: Sequence[str], log_probs_NKC: NDArray[np.float64]) -> pa.Table:
    """Return one row per item: its id, a column per measure, and the mean distribution over its answers."""
    columns: dict[str, pa.Array] = {"item_id": pa.array(item_ids, pa.string())}
    for name, measure in MEASURES.items():
        columns[name] = pa.array(measure(log_probs_NKC), pa.float64())
    mean_probs_NC = np.exp(log_probs_NKC).mean(axis=1)
    columns["mean_probs"] = pa.array(list(mean_probs_NC), pa.list_(pa.float64()))
    return pa.table(columns)


def unscored_table(item_ids: Sequence[str]) -> pa.Table:
    """Return the table for a strategy that needs no scores: ids alone."""
    return pa.table({"item_id": pa.array(item_ids, pa.string())})
