"""train_adapter: a fresh adapter on all labels so far."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from activelora.campaign.campaign import Attempt, Campaign
from activelora.campaign.held_out import trained_snapshot
from activelora.campaign.labels import LabelSnapshot
from activelora.campaign.ledger import label_manifests
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import Label
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.errors import DataError
from activelora.modeling.methods.registry import get_method
from activelora.pool.access import find_items, read_pool
from components.train_adapter.pseudo_labels import PseudoLabel, details_of, digest_of, pseudo_labels

if TYPE_CHECKING:
    from activelora.modeling.base import BaseModel
    from activelora.modeling.encoding import EncodedItem
    from activelora.modeling.parallel import Team
    from activelora.modeling.posterior import Fit


def run(campaign: View, round_: int) -> Manifest:
    """Train the round's adapter, in one process or several; a killed run goes on from its last checkpoint.

    Args:
        campaign: The campaign.
        round_: The round, from 1.

    Raises:
        ConfigError: There are more processes than the method, the batch size or the GPUs allow.
        DataError: No item has a label.
        TrainingError: One of several processes failed.
    """
    from activelora.modeling.parallel import ALONE
    from components.train_adapter.launch import check_processes, launch, processes_here, train_here

    unit, campaign = Unit("train_adapter", round_), snapshot_of(campaign).campaign
    if done := campaign.manifest(unit):
        return done
    resources = train_here(campaign.config)
    num_processes = processes_here(resources)
    if num_processes == 1:
        train(campaign, round_, ALONE)
    else:
        check_processes(campaign.config, resources, num_processes)
        launch(campaign, unit, resources, num_processes)
    return campaign.require(unit)


def train(campaign: Campaign, round_: int, team: Team) -> None:
    """Train, as one of the processes that share each step's batch. The first one writes all that is written.

    Raises:
        DataError: No item has a label.
    """
    begin = time.monotonic()
    seen = Snapshot(campaign)
    attempt = campaign.attempt(Unit("train_adapter", round_))
    read_pool(seen, attempt, round_ - 1)
    for manifest in label_manifests(seen, round_):
        attempt.reads(manifest)
    snapshot, selections = trained_snapshot(seen, round_)
    for manifest in selections:
        attempt.reads(manifest)
    if not snapshot.labels:
        raise DataError("no item has a label yet", where=f"{campaign.store.uri}, round {round_}")
    pseudo = pseudo_labels(seen, attempt, snapshot)
    digest = digest_of(snapshot, pseudo)
    if team.agree(digest) != digest:
        raise DataError("the training processes have read different labels", where=campaign.store.uri)
    fit, base_name = _fit(seen, attempt, Lessons(snapshot, pseudo, digest), team)
    config = campaign.config
    trains_itself = config.training.self_training is not None
    metrics = {
        "num_labels": len(snapshot.labels),
        **({"num_pseudo_labels": len(pseudo)} if trains_itself else {}),
        "num_steps": len(fit.losses),
        "final_loss": fit.losses[-1],
        **fit.metrics,
        "seconds": time.monotonic() - begin,
    }
    details = {
        "label_digest": snapshot.digest,
        "method": config.adapter.method,
        "constraint": config.adapter.constraint.model_dump(),
        "base_model": base_name,
        **fit.details,
        **({"pseudo_labels": details_of(pseudo, digest)} if trains_itself else {}),
        **({"processes": team.size, "parallel": team.mode} if team.size > 1 else {}),
    }
    if team.leads:
        attempt.commit(metrics, details)


class Lessons(NamedTuple):
    """What a round learns from.

    Attributes:
        snapshot: The labels.
        pseudo: The last model's own answers.
        digest: Digest of both.
    """

    snapshot: LabelSnapshot
    pseudo: list[PseudoLabel]
    digest: str


def _fit(seen: Snapshot, attempt: Attempt, lessons: Lessons, team: Team) -> tuple[Fit, str]:
    from activelora.modeling.base import load_base, load_to_shard
    from activelora.modeling.fitting import AttemptJob
    from activelora.modeling.locating import fetched

    campaign, round_ = attempt.campaign, attempt.unit.round
    method = get_method(campaign.config.adapter.method)
    with team.first_here():  # else each process fetches the whole model, onto a disk that may hold one
        fetched(campaign.config.model)
    base = load_to_shard(campaign.config.model) if team.shards else load_base(campaign.config.model)
    items, indices, weights = _encode(seen, base, lessons)
    with tempfile.TemporaryDirectory() as scratch:
        previous = None
        if round_ > 1 and campaign.config.training.warm_start:
            manifest = attempt.reads(campaign.require(Unit("train_adapter", round_ - 1)))
            previous = campaign.download_folder(manifest, "adapter", Path(scratch) / "previous")
        folder = Path(scratch) / "adapter"
        job = AttemptJob(attempt, base, items, indices, weights, folder, previous, team, lessons.digest)
        fit = method.fit(job)
        if team.leads:
            attempt.upload_folder("adapter", job.folder)
            attempt.write_json("loss.json", fit.losses)
            job.forget()
    return fit, base.name


def _encode(seen: Snapshot, base: BaseModel, lessons: Lessons) -> tuple[list[EncodedItem], list[int], list[float]]:
    """Return what is to be learned, sorted by item id: questions as token ids, answers, and how much each counts."""
    from activelora.modeling.encoding import Encoder
    from activelora.modeling.length_limit import length_limit

    snapshot, settings = lessons.snapshot, seen.config.training
    found = find_items(seen, [*snapshot.labels, *(one.item_id for one in lessons.pseudo)])
    encoder = Encoder(base.tokenizer, seen.config.task, length_limit(base.model.config))
    rows: list[tuple[str, Label, float]] = [
        (item_id, label, share)
        for item_id in snapshot.labels
        for label, share in (
            snapshot.shares[item_id] if settings.soft_labels else {snapshot.labels[item_id]: 1.0}
        ).items()
    ]
    if settings.self_training is not None:
        rows += [(one.item_id, one.label, settings.self_training.weight) for one in lessons.pseudo]
    rows.sort(key=lambda row: row[0])
    items, indices = encoder.encode_labelled([found[row[0]] for row in rows], [row[1] for row in rows])
    return items, indices, [weight for _, _, weight in rows for _ in range(encoder.rows_per_item)]
