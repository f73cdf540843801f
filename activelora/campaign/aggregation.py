"""From several annotators' votes to a distribution over labels for each item.

The probabilistic rules are crowd-kit's. What they share: who agrees with the others is believed more. So all votes of
the campaign are looked at together, and a later round may change what is believed of an earlier one's items.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import median_low
from typing import Any

from activelora.campaign.records import Label
from activelora.config.labeling import AggregationRule

Distribution = Mapping[Label, float]
"""Label → how far it is believed; positive, sums to 1 but for rounding."""
NUM_ITERATIONS = 100
DECIMALS = 9
"""Shares are rounded, so that equal ones stay equal."""
NEGLIGIBLE = 1e-6
"""Labels that are believed less are left out."""


def aggregate(votes: Sequence[Mapping[str, Any]], rule: AggregationRule) -> dict[str, Distribution]:
    """Return what each item's votes come to.

    ``majority``: the share of the votes. ``median``: all on the lower median of numeric labels. ``dawid_skene``: the
    posterior of Dawid and Skene (1979), one confusion matrix an annotator; what nobody said can be believed most.
    ``one_coin``: the same with one number an annotator, how often they are right (Zhang et al. 2014), given that
    somebody is right: an item may have fewer choices than another.

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
        return {item_id: {median_low(of_item): 1.0} for item_id, of_item in labels.items()}
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
    import pandas as pd

    table = pd.DataFrame(rows, columns=["task", "worker", "label"])
    with warnings.catch_warnings():
        # crowd-kit 1.4 calls pandas in ways that pandas 3 deprecates; the results are right (see the tests).
        warnings.filterwarnings("ignore", category=pd.errors.Pandas4Warning)
        probabilities = _fit(rule, table)
    said = pd.crosstab(table["task"], table["label"]).loc[probabilities.index, probabilities.columns]
    found: dict[str, Distribution] = {}
    for item_id, row, votes in zip(probabilities.index, probabilities.to_numpy(), said.to_numpy(), strict=True):
        shares = np.where(row > NEGLIGIBLE, row, 0.0)
        if rule == "one_coin":
            shares = np.where(votes > 0, shares, 0.0)
            shares = shares if shares.any() else votes
        shares = np.round(shares / shares.sum(), DECIMALS)
        found[str(item_id)] = {
            int(label): float(share) for label, share in zip(probabilities.columns, shares, strict=True) if share > 0
        }
    return dict(sorted(found.items()))


def _fit(rule: AggregationRule, table: Any) -> Any:
    """Return P(label | votes): a row an item, a column a label."""
    from crowdkit.aggregation import DawidSkene, OneCoinDawidSkene

    model = DawidSkene if rule == "dawid_skene" else OneCoinDawidSkene
    probabilities: Any = model(n_iter=NUM_ITERATIONS).fit(table).probas_
    return probabilities.sort_index(axis=1)
