"""What each item of the holdout scores, and what a metric of all items at once would be on resamples of them.

Read from an evaluation's table of predictions. Letters: N items, C classes, B resamples.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from activelora.evaluation import bootstrap
from activelora.evaluation.classification_metrics import FloatArray, IntArray, item_brier, item_nll
from activelora.evaluation.headline import Headline
from activelora.evaluation.primary import Wanted, statistic_of


def item_scores(headline: Headline, table: pa.Table) -> FloatArray | None:
    """Return what each item scores, higher is better: 1 for a right answer, or less where its NLL is larger.

    Args:
        headline: The metric.
        table: The predictions, a row an item.

    Returns:
        None for a metric that is no mean of such scores, or that the table cannot tell.
    """
    if headline.counts_items:
        return _right(table)
    if headline.is_mean and headline.metric in _SCORES and (found := choices_in(table)) is not None:
        return -_SCORES[headline.metric](*found)
    return None


def statistic_in(table: pa.Table, wanted: Wanted) -> bootstrap.Statistic | None:
    """Return the primary metric of a table's items as a function of resampling weights; None where it cannot tell.

    Args:
        table: The predictions, a row an item.
        wanted: The metric.
    """
    found = choices_in(table)
    return None if found is None or not wanted.metric else statistic_of(wanted.metric, *found, wanted)


def choices_in(table: pa.Table) -> tuple[FloatArray, IntArray] | None:
    """Return probs_NC, padded with zeros where an item has fewer answers, and labels_N; None for other answers."""
    if "probs" not in table.column_names or not pa.types.is_integer(table.schema.field("label").type):
        return None
    rows = table["probs"].to_pylist()
    probs_NC = np.zeros((len(rows), max((len(row) for row in rows), default=1)))
    for index, row in enumerate(rows):
        probs_NC[index, : len(row)] = row
    return probs_NC, np.array(table["label"].to_pylist(), dtype=np.int64)


_SCORES = {"nll": item_nll, "brier": item_brier}


def _right(table: pa.Table) -> FloatArray:
    """Return 1 for every right answer: by the table's own judgement, or where prediction and label are the same."""
    if "correct" in table.column_names:  # a written answer is right in many wordings
        return np.array(table["correct"].to_pylist(), dtype=np.float64)
    pairs = zip(table["predicted"].to_pylist(), table["label"].to_pylist(), strict=True)
    return np.array([predicted == label for predicted, label in pairs], dtype=np.float64)
