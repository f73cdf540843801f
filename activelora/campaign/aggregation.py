"""From several annotators' votes to a distribution over labels for each item.

What the probabilistic rules share: who agrees with the others is believed more. So all votes of the campaign are looked
at together, and a later round may change what is believed of an earlier one's items. ``one_coin`` is crowd-kit's.
``dawid_skene`` is our own EM with priors: without them (crowd-kit 1.4 has none) a label that a voter has never used
counts as impossible for that voter, and voters who used one label only turn unanimous votes of others round.

Letters: I items, A annotators, C labels, V votes.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, Any

from activelora.campaign.records import Label
from activelora.config.labeling import AggregationRule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Distribution = Mapping[Label, float]
"""Label → how far it is believed; positive, sums to 1 but for rounding."""
NUM_ITERATIONS = 100
DECIMALS = 9
"""Shares are rounded, so that equal ones stay equal."""
NEGLIGIBLE = 1e-6
"""Labels that are believed less are left out."""
PRIOR_RIGHT, PRIOR_WRONG, PRIOR_LABEL = 2.0, 1.0, 1.0
"""Pseudo-votes of ``dawid_skene``, the counts of Dirichlet priors (Kim and Ghahramani 2012): before anything is known,
each annotator has named each label rightly ``PRIOR_RIGHT`` times and wrongly ``PRIOR_WRONG`` times, shared among the
other labels; and each label was true of ``PRIOR_LABEL`` items."""
CONVERGED = 1e-7
"""EM ends when no share moves by more."""


def aggregate(votes: Sequence[Mapping[str, Any]], rule: AggregationRule) -> dict[str, Distribution]:
    """Return what each item's votes come to.

    ``majority``: the share of the votes. ``median``: all on the median of numeric labels, of an even number the mean
    of the middle two; labels are places on the task's grid, and a mean between two places goes to the even one, so
    that such means go up as often as down. ``dawid_skene``: the posterior of Dawid and Skene (1979) with priors, one
    confusion matrix an annotator; what nobody said can be believed most, unless all said the same: unanimous votes
    always win. ``one_coin``: the same with one number an annotator, how often they are right (Zhang et al. 2014),
    given that somebody is right: an item may have fewer choices than another.

    Args:
        votes: One an item and annotator, with ``item_id``, ``annotator`` and ``label``. Their order does not matter.
        rule: How to combine them.

    Returns:
        Item → distribution, by item id in ascending order.
    """
    labels: dict[str, list[Label]] = defaultdict(list)
    for vote in sorted(votes, key=lambda vote: (vote["item_id"], vote["annotator"])):
        labels[vote["item_id"]].append(vote["label"])
    if rule == "median":
        return {item_id: {round(median(map(int, of_item))): 1.0} for item_id, of_item in labels.items()}
    if rule == "majority" or len({vote["annotator"] for vote in votes}) < 2:
        return {item_id: _shares(of_item) for item_id, of_item in labels.items()}
    return _posterior(votes, rule)


def winner(distribution: Distribution) -> Label:
    """Return the label that is believed most; of several, the smallest."""
    return min(distribution, key=lambda label: (-distribution[label], label))


def _shares(labels: Sequence[Label]) -> Distribution:
    counts = Counter(labels)
    return {label: counts[label] / len(labels) for label in sorted(counts)}


def _posterior(votes: Sequence[Mapping[str, Any]], rule: AggregationRule) -> dict[str, Distribution]:
    rows = sorted((vote["item_id"], vote["annotator"], vote["label"]) for vote in votes)
    return dict(_estimate(tuple(rows), rule))


@lru_cache(maxsize=16)  # steps look at the same votes several times, and EM over many takes seconds
def _estimate(rows: tuple[tuple[str, str, int], ...], rule: AggregationRule) -> Mapping[str, Distribution]:
    import numpy as np

    items, annotators, labels = (sorted(set(column)) for column in zip(*rows, strict=True))
    item_V = np.searchsorted(items, [row[0] for row in rows])
    annotator_V = np.searchsorted(annotators, [row[1] for row in rows])
    label_V = np.searchsorted(labels, [row[2] for row in rows])
    said_IC = np.zeros((len(items), len(labels)))
    np.add.at(said_IC, (item_V, label_V), 1.0)
    if rule == "dawid_skene":
        believed_IC = _dawid_skene(said_IC, item_V, annotator_V, label_V)
        # A prior of the labels can outweigh one vote: what all said is believed most all the same.
        unanimous_I = ((said_IC > 0).sum(axis=1) == 1) & (believed_IC.argmax(axis=1) != said_IC.argmax(axis=1))
        believed_IC[unanimous_I] = said_IC[unanimous_I]
    else:
        believed_IC = np.where(said_IC > 0, _one_coin(rows), 0.0)
        believed_IC[~(believed_IC > NEGLIGIBLE).any(axis=1)] = said_IC[~(believed_IC > NEGLIGIBLE).any(axis=1)]
    believed_IC = np.where(believed_IC > NEGLIGIBLE, believed_IC, 0.0)
    shares_IC = np.round(believed_IC / believed_IC.sum(axis=1, keepdims=True), DECIMALS)
    return {
        item: {labels[column]: float(shares_C[column]) for column in np.flatnonzero(shares_C)}
        for item, shares_C in zip(items, shares_IC, strict=True)
    }


def _dawid_skene(
    said_IC: NDArray[np.float64],
    item_V: NDArray[np.int64],
    annotator_V: NDArray[np.int64],
    label_V: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return P(label | votes)_IC, the fixed point of EM from the shares of the votes."""
    import numpy as np

    num_labels = said_IC.shape[1]
    believed_IC: NDArray[np.float64] = said_IC / said_IC.sum(axis=1, keepdims=True)
    pseudo_CC = np.full((num_labels, num_labels), PRIOR_WRONG / max(num_labels - 1, 1))
    np.fill_diagonal(pseudo_CC, PRIOR_RIGHT)
    for _ in range(NUM_ITERATIONS):
        log_prior_C = np.log(believed_IC.sum(axis=0) + PRIOR_LABEL)
        # The second axis is what was said, the last what is true.
        counts_ACC = np.broadcast_to(pseudo_CC, (int(annotator_V.max()) + 1, num_labels, num_labels)).copy()
        np.add.at(counts_ACC, (annotator_V, label_V), believed_IC[item_V])
        log_said_ACC = np.log(counts_ACC / counts_ACC.sum(axis=1, keepdims=True))
        scores_IC = np.tile(log_prior_C, (len(said_IC), 1))
        np.add.at(scores_IC, item_V, log_said_ACC[annotator_V, label_V])
        next_IC: NDArray[np.float64] = np.exp(scores_IC - scores_IC.max(axis=1, keepdims=True))
        next_IC /= next_IC.sum(axis=1, keepdims=True)
        moved = np.abs(next_IC - believed_IC).max()
        believed_IC = next_IC
        if moved <= CONVERGED:
            break
    return believed_IC


def _one_coin(rows: Sequence[tuple[str, str, int]]) -> NDArray[np.float64]:
    """Return P(label | votes)_IC of crowd-kit: items and labels in ascending order."""
    import pandas as pd
    from crowdkit.aggregation import OneCoinDawidSkene

    table = pd.DataFrame(rows, columns=["task", "worker", "label"])
    with warnings.catch_warnings():
        # crowd-kit 1.4 calls pandas in ways that pandas 3 deprecates; the results are right (see the tests).
        warnings.filterwarnings("ignore", category=pd.errors.Pandas4Warning)
        model: Any = OneCoinDawidSkene(n_iter=NUM_ITERATIONS).fit(table)
    found: NDArray[np.float64] = model.probas_.sort_index().sort_index(axis=1).to_numpy()
    return found
