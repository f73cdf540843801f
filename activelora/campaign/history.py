"""A campaign's rounds as their manifests tell them: what the report, MLflow and ``activelora status`` show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import finished_units
from activelora.campaign.manifest import Manifest, Unit


@dataclass(frozen=True)
class RoundRecord:
    """One round; what is not done yet is None.

    Attributes:
        round: The round, from 0.
        num_labels: Labels that its adapter was trained on.
        training: train_adapter's manifest; None in round 0.
        evaluation: evaluate_adapter's manifest.
        scoring: score_pool's manifests, by shard.
        selection: select_batch's manifest.
        labels: await_labels' manifest.
    """

    round: int
    num_labels: int
    training: Manifest | None
    evaluation: Manifest | None
    scoring: tuple[Manifest, ...]
    selection: Manifest | None
    labels: Manifest | None

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """The finished units, in the order of their steps."""
        steps = (self.training, self.evaluation, *self.scoring, self.selection, self.labels)
        return tuple(manifest for manifest in steps if manifest is not None)

    @property
    def metrics(self) -> Mapping[str, float]:
        """The evaluation's metrics; empty before it."""
        return self.evaluation.metrics if self.evaluation else {}

    @property
    def live_check(self) -> list[str]:
        """What the random share of the batches before it tells, in sentences; empty if it tells nothing."""
        found = self.evaluation.details.get("live_check") if self.evaluation else None
        return list(found["sentences"]) if found else []


def read_history(campaign: Campaign) -> list[RoundRecord]:
    """Return the rounds that have begun, in order."""
    units = sorted(unit for unit in finished_units(campaign) if unit.step != "ingest_pool")
    found = {unit: campaign.require(unit) for unit in units}
    records: list[RoundRecord] = []
    num_labels = 0
    for round_ in sorted({unit.round for unit in units}):
        record = RoundRecord(
            round=round_,
            num_labels=num_labels,
            training=found.get(Unit("train_adapter", round_)),
            evaluation=found.get(Unit("evaluate_adapter", round_)),
            scoring=tuple(found[u] for u in units if u.step == "score_pool" and u.round == round_),
            selection=found.get(Unit("select_batch", round_)),
            labels=found.get(Unit("await_labels", round_)),
        )
        records.append(record)
        num_labels += int(record.labels.metrics["num_labeled"]) if record.labels else 0
    return records


def evaluated(records: list[RoundRecord]) -> list[RoundRecord]:
    """Return the rounds that have been evaluated."""
    return [record for record in records if record.evaluation is not None]


def area_under_learning_curve(records: list[RoundRecord], metric: str = "accuracy") -> float | None:
    """Return AULC, the mean of a metric over the labels spent (trapezoids); None before two different label counts."""
    done = evaluated(records)
    span = done[-1].num_labels - done[0].num_labels if done else 0
    if span == 0:
        return None
    area = sum(
        (right.num_labels - left.num_labels) * (right.metrics[metric] + left.metrics[metric]) / 2
        for left, right in pairwise(done)
    )
    return area / span
