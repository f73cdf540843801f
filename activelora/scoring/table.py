"""score_pool's table: every measure of every item, and what else the strategy needs.

Letters: N items, K samples, C answers, D features.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from activelora.acquisition.reliability import FEWEST_SAMPLES, HALVES
from activelora.scoring.two_stage import score
from activelora.uncertainty.measures import MEASURES, NUMBER_MEASURES, mean_over_labels


def score_table(
    item_ids: Sequence[str],
    log_probs_NKC: NDArray[np.float64],
    *,
    values_C: NDArray[np.float64] | None = None,
    with_samples: bool = False,
    embeddings_ND: NDArray[np.float32] | None = None,
    differences_ND: NDArray[np.float32] | None = None,
    labeled: Collection[str] = (),
    gradient_lengths_N: NDArray[np.float64] | None = None,
    halved: str | None = None,
) -> pa.Table:
    """Return one row per item: its id, a column per measure, and the mean distribution over its answers.

    Args:
        item_ids: N ids.
        log_probs_NKC: The samples; for label sets (N, K, C, 2), whose measures are means over the labels, and which
            give no distribution over answers.
        values_C: Numbers that the answers of a regression stand for: adds the variance measures.
        with_samples: Add the column ``log_probs``: K × C numbers an item, sample by sample, C as in ``mean_probs``.
        embeddings_ND: Add the column ``embedding``, and ``labeled``, true for items that have a label already.
        differences_ND: Add the column ``difference``, and ``labeled``.
        labeled: Ids of those.
        gradient_lengths_N: Add the column ``expected_gradient_length``.
        halved: Add columns of this measure by either half of the samples, where there are enough.
    """
    is_set = log_probs_NKC.ndim == 4
    columns: dict[str, pa.Array] = {"item_id": pa.array(item_ids, pa.string())}
    for name, measure in MEASURES.items():
        scores_N = mean_over_labels(measure, log_probs_NKC) if is_set else measure(log_probs_NKC)
        columns[name] = pa.array(scores_N, pa.float64())
    if values_C is not None:
        for name, number_measure in NUMBER_MEASURES.items():
            columns[name] = pa.array(number_measure(log_probs_NKC, values_C), pa.float64())
    if halved is not None and log_probs_NKC.shape[1] >= FEWEST_SAMPLES:
        even = log_probs_NKC.shape[1] // 2 * 2
        for name, half in zip(HALVES, (0, 1), strict=True):
            columns[name] = pa.array(score(halved, log_probs_NKC[:, half:even:2], values_C), pa.float64())
    if gradient_lengths_N is not None:
        columns["expected_gradient_length"] = pa.array(gradient_lengths_N, pa.float64())
    if not is_set:
        mean_probs_NC = np.exp(log_probs_NKC).mean(axis=1)
        columns["mean_probs"] = pa.array(list(mean_probs_NC), pa.list_(pa.float64()))
    if with_samples and not is_set:
        columns["log_probs"] = pa.array([samples_KC.ravel() for samples_KC in log_probs_NKC], pa.list_(pa.float64()))
    vectors = {"embedding": embeddings_ND, "difference": differences_ND}
    return pa.table(columns | _vector_columns(item_ids, vectors, labeled))


def text_score_table(
    item_ids: Sequence[str],
    measures: Mapping[str, NDArray[np.float64]],
    *,
    embeddings_ND: NDArray[np.float32] | None = None,
    labeled: Collection[str] = (),
) -> pa.Table:
    """Return one row per item whose answer is a text: its id, a column per measure, and what :func:`score_table` adds.

    Args:
        item_ids: N ids.
        measures: Name to scores_N.
        embeddings_ND: Embeddings of the items; None leaves them out.
        labeled: Ids of the items that have a label already.
    """
    columns: dict[str, pa.Array] = {"item_id": pa.array(item_ids, pa.string())}
    columns |= {name: pa.array(scores_N, pa.float64()) for name, scores_N in measures.items()}
    return pa.table(columns | _vector_columns(item_ids, {"embedding": embeddings_ND}, labeled))


def _vector_columns(
    item_ids: Sequence[str], vectors: Mapping[str, NDArray[np.float32] | None], labeled: Collection[str]
) -> dict[str, pa.Array]:
    """Return a column for each vectors_ND that there are, and with any which items are labelled."""
    columns = {}
    for name, vectors_ND in vectors.items():
        if vectors_ND is not None:
            flat = pa.array(vectors_ND.astype(np.float32, copy=False).ravel())
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, vectors_ND.shape[1])
    if not columns:
        return {}
    return {**columns, "labeled": pa.array([item_id in labeled for item_id in item_ids], pa.bool_())}


def unscored_table(item_ids: Sequence[str]) -> pa.Table:
    """Return the table for a strategy that needs no scores: ids alone."""
    return pa.table({"item_id": pa.array(item_ids, pa.string())})
