"""score_pool's table: every measure of every item, and what else the strategy needs.

Letters: N items, K samples, C answers, D features.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from activelora.uncertainty.measures import MEASURES


def score_table(
    item_ids: Sequence[str],
    log_probs_NKC: NDArray[np.float64],
    *,
    with_samples: bool = False,
    embeddings_ND: NDArray[np.float32] | None = None,
    labeled: Collection[str] = (),
    gradient_lengths_N: NDArray[np.float64] | None = None,
) -> pa.Table:
    """Return one row per item: its id, a column per measure, and the mean distribution over its answers.

    Args:
        item_ids: N ids.
        log_probs_NKC: The samples.
        with_samples: Add the column ``log_probs``: K × C numbers an item, sample by sample, C as in ``mean_probs``.
        embeddings_ND: Add the column ``embedding``, and ``labeled``, true for items that are there as company only.
        labeled: Ids of those.
        gradient_lengths_N: Add the column ``expected_gradient_length``.
    """
    columns: dict[str, pa.Array] = {"item_id": pa.array(item_ids, pa.string())}
    for name, measure in MEASURES.items():
        columns[name] = pa.array(measure(log_probs_NKC), pa.float64())
    if gradient_lengths_N is not None:
        columns["expected_gradient_length"] = pa.array(gradient_lengths_N, pa.float64())
    mean_probs_NC = np.exp(log_probs_NKC).mean(axis=1)
    columns["mean_probs"] = pa.array(list(mean_probs_NC), pa.list_(pa.float64()))
    if with_samples:
        columns["log_probs"] = pa.array([samples_KC.ravel() for samples_KC in log_probs_NKC], pa.list_(pa.float64()))
    if embeddings_ND is not None:
        flat = pa.array(embeddings_ND.astype(np.float32, copy=False).ravel())
        columns["embedding"] = pa.FixedSizeListArray.from_arrays(flat, embeddings_ND.shape[1])
        columns["labeled"] = pa.array([item_id in labeled for item_id in item_ids], pa.bool_())
    return pa.table(columns)


def unscored_table(item_ids: Sequence[str]) -> pa.Table:
    """Return the table for a strategy that needs no scores: ids alone."""
    return pa.table({"item_id": pa.array(item_ids, pa.string())})
