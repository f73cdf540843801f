"""What is next: a pure function of which manifests, and marks of deleted items, exist.

Nothing here is stored. Any number of schedulers may ask at any moment and act on the answer: units are idempotent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.refreshes import due_refresh, pool_of
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.campaign.stopping import ACCURACY, Judged, plateau_reached, target_reached
from activelora.config.steps import StepName
from activelora.errors import StoreError

Status = Literal["work", "stop", "stopped"]


@dataclass(frozen=True)
class Plan:
    """What to do now.

    Attributes:
        status: ``work`` (do the units), ``stop`` (record the reason) or ``stopped`` (nothing is left to do).
        round: The round that is under way.
        units: What to do; they do not depend on each other.
        reason: Why the campaign stops.
    """

    status: Status
    round: int
    units: tuple[Unit, ...] = ()
    reason: str = ""


def next_plan(campaign: View) -> Plan:
    """Return what to do next in a campaign."""
    seen = snapshot_of(campaign)
    if reason := seen.stop_reason:
        return Plan("stopped", max(rounds_begun(seen), default=0), reason=reason)
    done = seen.done
    if Unit("ingest_pool") not in done:
        return Plan("work", 0, (Unit("ingest_pool"),))
    round_ = 0
    while Unit("await_labels", round_) in done:
        round_ += 1
    if round_ and (reason := _ended_waiting(seen, round_ - 1)):
        return Plan("stop", round_ - 1, reason=reason)
    if refresh := _due_refresh(seen, round_):
        return Plan("work", round_, (refresh,))
    for step in round_steps(round_):
        if step == "score_pool" and (reason := why_stop(seen, round_)):
            return Plan("stop", round_, reason=reason)
        units = step_units(step, round_, pool_of(seen, round_).num_shards if step == "score_pool" else 1)
        if missing := tuple(unit for unit in units if unit not in done):
            if step == "train_adapter" and (reason := _nothing_to_learn(seen, round_)):
                return Plan("stop", round_, reason=reason)
            return Plan("work", round_, missing)
    raise AssertionError("a round without missing units has its labels, and is not the current one")


def round_steps(round_: int) -> tuple[StepName, ...]:
    """Return the steps of a round in their order. Round 0 has no adapter to train."""
    rest: tuple[StepName, ...] = ("evaluate_adapter", "score_pool", "select_batch", "await_labels")
    return rest if round_ == 0 else ("train_adapter", *rest)


def step_units(step: StepName, round_: int, num_shards: int) -> tuple[Unit, ...]:
    """Return the units of a step: one, or one a shard."""
    if step == "score_pool":
        return tuple(Unit(step, round_, shard) for shard in range(num_shards))
    return (Unit(step, round_),)


def finished_units(campaign: View) -> frozenset[Unit]:
    """Return the units that have a manifest."""
    return snapshot_of(campaign).done


def rounds_begun(campaign: View) -> list[int]:
    """Return the rounds that have at least one finished unit."""
    return sorted({unit.round for unit in finished_units(campaign) if unit.step != "ingest_pool"})


def label_manifests(campaign: View, before_round: int) -> list[Manifest]:
    """Return the await_labels manifests of all rounds before the given one, in order."""
    return [campaign.require(Unit("await_labels", round_)) for round_ in range(before_round)]


def num_collected(campaign: View) -> int:
    """Return how many rounds have their labels: the round that the next snapshot is for."""
    done = finished_units(campaign)
    round_ = 0
    while Unit("await_labels", round_) in done:
        round_ += 1
    return round_


def collected_round(campaign: View, round_: int | None) -> int:
    """Return a round whose training labels are known.

    Args:
        campaign: The campaign.
        round_: The round that is asked for; None is the newest such round.

    Raises:
        StoreError: There is no such round, or not yet.
    """
    newest = num_collected(campaign)
    if round_ is None:
        return newest
    if not 0 <= round_ <= newest:
        raise StoreError(
            f"the labels that round {round_} trains on are not known",
            where=campaign.store.uri,
            remedy=f"Name a round from 0 to {newest}.",
        )
    return round_


def num_labels(campaign: View, before_round: int) -> int:
    """Return how many items were labelled before the given round. A corrected label is not counted again."""
    return sum(int(manifest.metrics["num_labeled"]) for manifest in label_manifests(campaign, before_round))


def num_asked(campaign: View, before_round: int) -> int:
    """Return how many labels were asked for before the given round, answered or not."""
    return sum(_batch(campaign, round_) for round_ in range(before_round))


def num_known(campaign: View) -> int:
    """Return how many pool items had a label that is trained on before anybody was asked."""
    return int(campaign.require(Unit("ingest_pool")).metrics.get("num_known", 0))


def is_known_round(campaign: View, round_: int) -> bool:
    """Tell whether the labels that a round brings are the known ones: it asks for nothing and waits for nobody."""
    return round_ == 0 and num_known(campaign) > 0


def waits_for_people(campaign: View, plan: Plan) -> bool:
    """Tell whether nothing but labels is missing in the round that is under way, and somebody has to give them."""
    is_last = plan.status == "work" and plan.units[0].step == "await_labels"
    return is_last and not is_known_round(campaign, plan.round)


def last_round(campaign: View) -> int:
    """Return the last planned round: as many ask for labels as are planned, and known labels take one more."""
    return campaign.config.stopping.max_rounds + (num_known(campaign) > 0)


def why_stop(campaign: View, round_: int) -> str | None:
    """Return why no more labels should be asked for after this round's evaluation, or None.

    The first that holds: the target is reached, rounds or budget are spent, nothing is left to label, a plateau.
    """
    config = campaign.config
    labeled = num_labels(campaign, round_)
    counted = _labels_in_words(campaign, round_)
    if reached := _target_reached(campaign, round_):
        return f"{reached} ({counted})"
    if round_ >= last_round(campaign):
        return f"all {config.stopping.max_rounds} planned rounds are done ({counted})"
    if num_asked(campaign, round_) >= config.label_budget:
        return f"the label budget of {config.label_budget} is spent ({counted})"
    pool_size = pool_of(campaign, round_).num_items
    if labeled >= pool_size:
        return f"every one of the pool's {pool_size} items is labelled"
    if round_ > 0 and _batch(campaign, round_ - 1) == 0 and not is_known_round(campaign, round_ - 1):
        return f"nothing was left to ask for in the last round ({counted})"
    if flat := _plateau_reached(campaign, round_):
        return f"{flat} ({counted})"
    return None


def due_ingest(campaign: View) -> Unit | None:
    """Return what of ingest_pool is due now: the first reading of the pool, or a refresh; None if nothing is."""
    plan = next_plan(campaign)
    return next((unit for unit in plan.units if unit.step == "ingest_pool"), None)


def _due_refresh(seen: Snapshot, round_: int) -> Unit | None:
    """Return the refresh that the round begins with, where the round will ask for labels."""
    config = seen.config
    if round_ >= last_round(seen) or num_asked(seen, round_) >= config.label_budget:
        return None
    return due_refresh(seen, round_)


def _labels_in_words(campaign: View, round_: int) -> str:
    labeled, known = num_labels(campaign, round_), num_known(campaign) if round_ else 0
    return f"{labeled} labels, {known} of them known before" if known else f"{labeled} labels"


def _ended_waiting(campaign: View, round_: int) -> str | None:
    """Return why the campaign ends with the labels of a round: nobody answered, or ``labeling.on_deadline`` says so.

    Not where an amendment has lifted that end.
    """
    amendments = campaign.amendments
    if amendments and round_ < amendments[-1].num_collected:
        return None
    details = campaign.require(Unit("await_labels", round_)).details
    return str(details["decision"]) if details.get("action") == "stop" else None


def _nothing_to_learn(seen: Snapshot, round_: int) -> str | None:
    """Return why no adapter can be trained: all items that had a label were deleted."""
    if not seen.deleted:
        return None
    for manifest in label_manifests(seen, round_):
        labeled = seen.table(manifest, "labels.parquet")["item_id"].to_pylist()
        if not seen.deleted.issuperset(labeled):
            return None
    return "every item that had a label was deleted, and nothing is left to train on"


def _target_reached(campaign: View, round_: int) -> str | None:
    stopping = campaign.config.stopping
    if stopping.target_accuracy is stopping.target_ece is stopping.target_primary is None:
        return None
    evaluation = campaign.require(Unit("evaluate_adapter", round_))
    level = campaign.config.evaluation.confidence_level
    return target_reached(stopping, evaluation.metrics, level, Judged.noted(evaluation.details))


def _plateau_reached(campaign: View, round_: int) -> str | None:
    stopping = campaign.config.stopping
    if stopping.plateau_rounds is None:
        return None
    evaluations = [campaign.require(Unit("evaluate_adapter", earlier)) for earlier in range(1, round_ + 1)]
    judged = Judged.noted(evaluations[-1].details) if evaluations else ACCURACY
    return plateau_reached(stopping, [evaluation.metrics[judged.metric] for evaluation in evaluations], judged)


def batch_size(campaign: View, round_: int) -> int:
    """Return how many labels to ask for in this round, within the budget; none where the labels are known ones."""
    if is_known_round(campaign, round_):
        return 0
    left = campaign.config.label_budget - num_asked(campaign, round_)
    return max(0, min(campaign.config.acquisition.batch_size, left))


def _batch(campaign: View, round_: int) -> int:
    return int(campaign.require(Unit("select_batch", round_)).metrics["num_selected"])


def planned_rounds(campaign: View) -> int:
    """Return the number of planned queries, STAR's R_total."""
    config = campaign.config
    return min(config.stopping.max_rounds, math.ceil(config.label_budget / config.acquisition.batch_size))
