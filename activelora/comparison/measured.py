"""What was measured in the campaigns of a comparison, read from their manifests.

Letters: S seeds, N items, R rounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from activelora.campaign.campaign import Campaign
from activelora.campaign.history import RoundRecord, evaluated, read_history
from activelora.comparison.statistics import area_weights
from activelora.errors import DataError
from activelora.evaluation import bootstrap
from activelora.evaluation.bootstrap import Statistic
from activelora.evaluation.classification_metrics import item_nll
from activelora.evaluation.headline import Headline
from activelora.evaluation.headline_values import sign_of
from activelora.evaluation.item_scores import choices_in, item_scores, statistic_in
from activelora.kinds.registry import headline_of, wanted_of

FloatArray = NDArray[np.float64]

NUM_RESAMPLES = 400
"""Resamples of the holdout that tell how uncertain a metric of all items at once is by its items."""
CONTROL = "random"
"""The strategy that all others are held against."""


@dataclass(frozen=True, order=True)
class Method:
    """What is compared: a query strategy with an adapter.

    Attributes:
        strategy: Its name in the registry; with a seed set's before it, or `+self_training` after it, where it has one.
        adapter: Its name in the registry.
    """

    strategy: str
    adapter: str

    def named(self, several_adapters: bool) -> str:
        """Return the method's name on tables: with the adapter only where there are several."""
        return f"{self.strategy} · {self.adapter}" if several_adapters else self.strategy


@dataclass(frozen=True)
class Run:
    """One finished campaign of a comparison.

    Attributes:
        method: Its method.
        seed: Its seed.
        campaign: URI of the campaign.
    """

    method: Method
    seed: int
    campaign: Campaign

    @property
    def headline(self) -> Headline:
        """The metric that is compared."""
        return headline_of(self.campaign.config)

    @cached_property
    def records(self) -> list[RoundRecord]:
        """The evaluated rounds."""
        return evaluated(read_history(self.campaign))

    @property
    def num_labels(self) -> list[int]:
        """Labels of the rounds."""
        return [record.num_labels for record in self.records]

    @property
    def seconds(self) -> float:
        """Computing time of all steps; what was taken over from another campaign counts as if it was done here."""
        return sum(record.seconds for record in read_history(self.campaign))

    def metric(self, name: str) -> list[float]:
        """Return a metric by round."""
        return [record.metrics[name] for record in self.records]

    def item_scores(self) -> tuple[tuple[str, ...], FloatArray] | None:
        """Return the holdout's item ids, and how each item scores by round, higher is better: 1 for a right answer.

        None for a headline metric that is not the mean of such scores.
        """
        return self._item_scores

    @cached_property
    def _item_scores(self) -> tuple[tuple[str, ...], FloatArray] | None:
        """What :meth:`item_scores` returns; the control's are asked for once a method and measure."""
        ids: tuple[str, ...] = ()
        rows = []
        for table in self._predictions():
            ids = tuple(table["item_id"].to_pylist())
            if (scores_N := item_scores(self.headline, table)) is None:
                return None
            rows.append(scores_N)
        return ids, np.stack(rows)

    def item_statistics(self) -> tuple[tuple[str, ...], list[Statistic]] | None:
        """Return the holdout's item ids, and the headline metric by round as a function of the items' weights.

        None for a headline metric that cannot be made anew from the predictions.
        """
        wanted, ids, found = wanted_of(self.campaign.config), tuple[str, ...](), list[Statistic]()
        for table in self._predictions():
            if (statistic := statistic_in(table, wanted)) is None:
                return None
            ids = tuple(table["item_id"].to_pylist())
            found.append(statistic)
        return ids, found

    def item_losses(self) -> tuple[tuple[str, ...], FloatArray] | None:
        """Return the holdout's item ids, and each item's negative log-likelihood in the last round, in nats.

        None where the round's NLL is not the mean of these: the kind's answers have no label among ``probs``, or items
        count unequally.
        """
        tables = list(self._predictions(self.records[-1:]))
        if not tables or (found := choices_in(tables[0])) is None:
            return None
        losses_N = item_nll(*found)
        if not math.isclose(losses_N.mean(), self.records[-1].metrics["nll"], rel_tol=1e-6):
            return None
        return tuple(tables[0]["item_id"].to_pylist()), losses_N

    def _predictions(self, records: Sequence[RoundRecord] | None = None) -> Iterator[pa.Table]:
        """Yield the predictions of rounds that have them, of all evaluated ones by default, ordered by item id."""
        for record in self.records if records is None else records:
            if record.evaluation is not None:
                yield self.campaign.read_table(record.evaluation, "predictions.parquet").sort_by("item_id")


def common_labels(runs: Sequence[Run]) -> list[int]:
    """Return the label counts of the rounds, which must be the same in all campaigns.

    Raises:
        DataError: They differ, or there is none but round 0.
    """
    first = runs[0].num_labels
    for run in runs:
        if run.num_labels != first:
            raise DataError(
                f"its rounds have {run.num_labels} labels and those of {runs[0].campaign.store.uri} {first}, so the "
                "curves cannot be compared",
                where=run.campaign.store.uri,
                remedy="Run the comparison again to finish all campaigns.",
            )
    if len(first) < 2:
        raise DataError("nothing but round 0 was measured", where=runs[0].campaign.store.uri)
    return first


def paired_differences(ours: Sequence[Run], controls: Sequence[Run], weights_R: FloatArray) -> FloatArray:
    """Return paired differences of the headline metric, above 0 where ours is better.

    By seed and holdout item where all campaigns have one holdout and the metric is a mean over its items; otherwise
    by seed alone, with N = 1.

    Args:
        ours: One run a seed.
        controls: The control's runs, of the same seeds in the same order.
        weights_R: What each round counts, for example the area's weights or the last round alone.
    """
    scores = [(run.item_scores(), other.item_scores()) for run, other in zip(ours, controls, strict=True)]
    ids = {found[0] for pair in scores for found in pair if found is not None}
    if len(ids) == 1 and all(found is not None for pair in scores for found in pair):
        rows = [weights_R @ (own[1] - other[1]) for own, other in scores if own is not None and other is not None]
        return np.stack(rows)
    sign, name = (sign_of(ours[0].headline)), ours[0].headline.metric
    means = [
        sign * float(weights_R @ (np.array(run.metric(name)) - np.array(other.metric(name))))
        for run, other in zip(ours, controls, strict=True)
    ]
    return np.array(means)[:, None]


def paired_losses(ours: Sequence[Run], controls: Sequence[Run], metric: str) -> FloatArray:
    """Return paired differences of a calibration metric in the last round, above 0 where ours is lower, so better.

    By seed and holdout item for the NLL where it is a mean over the same items in all campaigns, otherwise by seed,
    with N = 1: the ECE is no mean over items.

    Args:
        ours: One run a seed.
        controls: The control's runs, of the same seeds in the same order.
        metric: Its name in an evaluation.
    """
    if metric == "nll":
        pairs = [(run.item_losses(), other.item_losses()) for run, other in zip(ours, controls, strict=True)]
        found = [(own, other) for own, other in pairs if own is not None and other is not None]
        if len(found) == len(pairs) and len({ids for pair in found for ids, _ in pair}) == 1:
            return np.stack([other[1] - own[1] for own, other in found])
    means = [other.metric(metric)[-1] - run.metric(metric)[-1] for run, other in zip(ours, controls, strict=True)]
    return np.array(means)[:, None]


def holdout_noise(ours: Sequence[Run], controls: Sequence[Run], weights_R: FloatArray) -> float:
    """Return how uncertain the mean of paired differences is by the draw of the holdout items alone: a variance.

    For campaigns whose seeds have holdouts of their own: Σ_s Var_n(d_sn) / N / S². 0 for a metric that is no mean over
    items.

    Args:
        ours: The method's runs, as in :func:`paired_differences`.
        controls: The control's runs.
        weights_R: What each round counts.
    """
    total = 0.0
    for run, other in zip(ours, controls, strict=True):
        own, others = run.item_scores(), other.item_scores()
        if own is None or others is None or own[0] != others[0] or len(own[0]) < 2:
            return 0.0
        differences_N = weights_R @ (own[1] - others[1])
        total += float(differences_N.var(ddof=1)) / len(differences_N)
    return total / len(ours) ** 2


def item_noise(ours: Sequence[Run], controls: Sequence[Run], weights_R: FloatArray) -> float:
    """Return the variance that the draw of a common holdout adds to a mean difference that is no mean over items.

    By the paired bootstrap: the same resamples of items for all campaigns and rounds. 0 where seeds have holdouts of
    their own, whose draw the seeds' spread shows, or where the metric cannot be made anew from the predictions.

    Args:
        ours: The method's runs, as in :func:`paired_differences`.
        controls: The control's runs.
        weights_R: What each round counts.
    """
    found = [(run.item_statistics(), other.item_statistics()) for run, other in zip(ours, controls, strict=True)]
    pairs = [(own, other) for own, other in found if own is not None and other is not None]
    if len(pairs) < len(found) or len({ids for pair in pairs for ids, _ in pair}) != 1:
        return 0.0
    num_items = len(pairs[0][0][0])

    def mean_difference(weights_BN: FloatArray) -> FloatArray:
        terms = [
            weight * (own(weights_BN) - other(weights_BN))
            for (_, owns), (_, others) in pairs
            for weight, own, other in zip(weights_R.tolist(), owns, others, strict=True)
            if weight
        ]
        return np.asarray(np.sum(terms, axis=0) / len(pairs))

    return bootstrap.variance(mean_difference, num_items, num_resamples=NUM_RESAMPLES, seed=0)


def area(run: Run) -> float:
    """Return the area under the headline metric's curve: its mean over the labels spent."""
    return float(area_weights(run.num_labels) @ np.array(run.metric(run.headline.metric)))
