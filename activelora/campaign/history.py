"""A campaign's rounds as their manifests tell them: what the report, MLflow and ``activelora status`` show."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

from activelora.campaign.ledger import rounds_begun
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.refreshes import pool_of
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.config.steps import STEPS

SCORED = "scored"
"""The detail of select_batch with :meth:`Scored.document`: then nobody has to read a manifest a shard again."""
SCORED_KEY = "scored.json"
"""Holds the same of selections of an earlier version, by their digests. It is no state: without it, all are read."""


@dataclass(frozen=True)
class Scored:
    """What scoring the pool took in one round, over all shards that are done.

    Attributes:
        seconds: Computing time.
        code_versions: Versions that scored, in ascending order.
    """

    seconds: float = 0.0
    code_versions: tuple[str, ...] = ()

    @classmethod
    def of(cls, shards: Sequence[Manifest]) -> Scored:
        """Return the sums over score_pool's manifests.

        Args:
            shards: The manifests, in the order of the shards.
        """
        versions = sorted({shard.code_version for shard in shards})
        return cls(sum(shard.metrics.get("seconds", 0.0) for shard in shards), tuple(versions))

    @classmethod
    def noted(cls, document: Mapping[str, Any]) -> Scored:
        """Return what :meth:`document` made."""
        return cls(float(document["seconds"]), tuple(map(str, document["code_versions"])))

    def document(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {"seconds": self.seconds, "code_versions": list(self.code_versions)}


@dataclass(frozen=True)
class RoundRecord:
    """One round; what is not done yet is None.

    Attributes:
        round: The round, from 0.
        num_labels: Labels that its adapter was trained on.
        training: train_adapter's manifest; None in round 0.
        evaluation: evaluate_adapter's manifest.
        selection: select_batch's manifest.
        labels: await_labels' manifest.
    """

    round: int
    num_labels: int
    training: Manifest | None
    evaluation: Manifest | None
    selection: Manifest | None
    labels: Manifest | None
    _read_scoring: Callable[[], tuple[Manifest, ...]] = field(repr=False, compare=False)
    _read_notes: Callable[[], Mapping[str, Scored]] = field(repr=False, compare=False)

    @cached_property
    def scoring(self) -> tuple[Manifest, ...]:
        """score_pool's manifests, by shard. There can be thousands, and asking for them reads each."""
        return self._read_scoring()

    @cached_property
    def scored(self) -> Scored:
        """What scoring took; where it was noted neither with the selection nor later, by :attr:`scoring`."""
        if self.selection is None:
            return Scored.of(self.scoring)
        if SCORED in self.selection.details:
            return Scored.noted(self.selection.details[SCORED])
        noted = self._read_notes().get(self.selection.digest)
        return Scored.of(self.scoring) if noted is None else noted

    @property
    def steps(self) -> tuple[Manifest, ...]:
        """The finished units but for score_pool's, in the order of their steps."""
        steps = (self.training, self.evaluation, self.selection, self.labels)
        return tuple(manifest for manifest in steps if manifest is not None)

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """All finished units, in the order of their steps; reads :attr:`scoring`."""
        order = STEPS.index
        return tuple(sorted((*self.steps, *self.scoring), key=lambda manifest: order(manifest.step)))

    @property
    def seconds(self) -> float:
        """Computing time of all steps so far."""
        return sum(manifest.metrics.get("seconds", 0.0) for manifest in self.steps) + self.scored.seconds

    @property
    def code_versions(self) -> frozenset[str]:
        """Versions that did the steps so far."""
        return frozenset({manifest.code_version for manifest in self.steps} | {*self.scored.code_versions})

    @property
    def finished_at(self) -> str:
        """When the last step ended; a selection comes after all that was scored for it."""
        return max(manifest.finished_at for manifest in (self.steps if self.selection else self.manifests))

    @property
    def metrics(self) -> Mapping[str, float]:
        """The evaluation's metrics; empty before it."""
        return self.evaluation.metrics if self.evaluation else {}

    @property
    def live_check(self) -> list[str]:
        """What the random share of the batches before it tells, in sentences; empty if it tells nothing."""
        found = self.evaluation.details.get("live_check") if self.evaluation else None
        return list(found["sentences"]) if found else []

    @property
    def drift(self) -> list[str]:
        """How a pool that grows and its holdout have changed, in sentences; empty where they have not."""
        details = self.evaluation.details if self.evaluation else {}
        found = [details.get(name) for name in ("drift", "refreshed_holdout")]
        return [sentence for document in found if document for sentence in document["sentences"]]


def read_history(campaign: View) -> list[RoundRecord]:
    """Return the rounds that have begun, in order. The manifests of score_pool are not read before they are needed."""
    seen = snapshot_of(campaign)
    records: list[RoundRecord] = []
    num_labels = 0
    for round_ in rounds_begun(seen):
        record = RoundRecord(
            round=round_,
            num_labels=num_labels,
            training=seen.manifest(Unit("train_adapter", round_)),
            evaluation=seen.manifest(Unit("evaluate_adapter", round_)),
            selection=seen.manifest(Unit("select_batch", round_)),
            labels=seen.manifest(Unit("await_labels", round_)),
            _read_scoring=partial(_scoring, seen, seen.done, round_),
            _read_notes=partial(_notes, seen),
        )
        records.append(record)
        num_labels += int(record.labels.metrics["num_labeled"]) if record.labels else 0
    return records


def note_scored(seen: Snapshot) -> None:
    """Note what scoring took where selections of an earlier version do not say it, once for all later commands."""
    older = {
        record.selection.digest: record
        for record in read_history(seen)
        if record.selection and SCORED not in record.selection.details
    }
    known = _notes(seen) if older else {}
    if older.keys() <= known.keys():
        return
    found = {
        digest: record.scored
        for digest, record in older.items()
        if digest in known or len(record.scoring) >= pool_of(seen, record.round).num_shards
    }
    content = {digest: scored.document() for digest, scored in found.items()}
    seen.store.write(SCORED_KEY, json.dumps(content, indent=1).encode())
    seen.note(SCORED_KEY, found)


def _notes(seen: Snapshot) -> Mapping[str, Scored]:
    return seen.once(SCORED_KEY, lambda: _read_scored(seen))


def _read_scored(seen: Snapshot) -> Mapping[str, Scored]:
    try:
        document = json.loads(seen.store.read(SCORED_KEY))
        return {digest: Scored.noted(noted) for digest, noted in document.items()}
    except (KeyError, ValueError, TypeError, AttributeError):  # there is none, or it was damaged
        return {}


def _scoring(seen: Snapshot, done: frozenset[Unit], round_: int) -> tuple[Manifest, ...]:
    units = sorted(unit for unit in done if unit.step == "score_pool" and unit.round == round_)
    return seen.require_all(units)


def evaluated(records: list[RoundRecord]) -> list[RoundRecord]:
    """Return the rounds that have been evaluated."""
    return [record for record in records if record.evaluation is not None]


def num_known(records: Sequence[RoundRecord]) -> int:
    """Return how many labels were known before anybody was asked."""
    return sum(int(record.labels.metrics.get("num_known", 0)) for record in records if record.labels)


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
