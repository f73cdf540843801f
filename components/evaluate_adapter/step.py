"""evaluate_adapter: measure the round's adapter (in round 0 the base model) on the holdout.

Letters: N items, K posterior samples, C classes.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from activelora.campaign.campaign import Attempt, Campaign
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import Item
from activelora.campaign.refreshes import SEEN, PoolParts, pool_now
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.campaign.stopping import PRIMARY
from activelora.errors import DataError
from activelora.evaluation import evaluation, headline_values, refreshed_holdout, thresholds
from activelora.evaluation.classification_metrics import FloatArray
from activelora.evaluation.exploration_check import LiveCheck, live_check
from activelora.evaluation.gates import base_of, champion, gate_failures
from activelora.evaluation.headline import ACCURACY, Headline
from activelora.evaluation.holdout_check import DRIFT, drift_details, drift_metrics, holdout_gap
from activelora.evaluation.refreshed_holdout import REFRESHED
from activelora.evaluation.thresholds import Split
from activelora.kinds.registry import headline_of, make_task, settings_of
from activelora.pool import access
from activelora.registry import call
from activelora.scoring import averaged
from activelora.seeding import item_draw
from activelora.tasks.task import Kind, Task
from activelora.uncertainty import label_prior
from components.evaluate_adapter import refreshed, written
from components.evaluate_adapter.refreshed import Joined

if TYPE_CHECKING:
    from activelora.scoring.predict import Predictor

NUM_PRIOR_ITEMS = 200


def run(campaign: View, round_: int) -> Manifest:
    """Predict holdout and calibration split, measure, and say whether the gates let the adapter become champion.

    Where a share of the batches is drawn at random, also tell what those labels say about the pool and the strategy.
    """
    unit, seen = Unit("evaluate_adapter", round_), snapshot_of(campaign)
    campaign = seen.campaign
    if done := campaign.manifest(unit):
        return done
    begin = time.monotonic()
    attempt = campaign.attempt(unit)
    parts = pool_now(seen)  # the pool that the round sees from now on
    for manifest in parts.manifests:
        attempt.reads(manifest)
    if round_ > 0:
        attempt.reads(campaign.require(Unit("train_adapter", round_)))
    task = make_task(campaign.config.task)
    found = refreshed.joined(seen, attempt, parts)
    if task.kind.writes:
        measured = _measure_texts(campaign, round_, task)
    else:
        measured = _measure(campaign, round_, task, parts, found)
    document = measured.document
    headline = headline_of(campaign.config)
    metrics = call(task.kind, "evaluate", _metrics, task.kind, document)
    _refuse_unmeasured(campaign, metrics, headline)
    attempt.write_json("evaluation.json", document)
    attempt.write_table("predictions.parquet", measured.predictions)
    if measured.refreshed is not None:
        attempt.write_table(refreshed.PREDICTIONS, measured.refreshed)
        metrics |= refreshed_holdout.flat_metrics(document[REFRESHED])

    details = _gates(seen, attempt, metrics, headline)
    if headline.metric != ACCURACY.metric:
        details[PRIMARY] = headline_values.noted(headline)
    if measured.refreshed is not None:
        details[REFRESHED] = refreshed_holdout.details(document[REFRESHED], campaign.config.evaluation.confidence_level)
    check, sources = live_check(seen, round_) if task.kind.checks_exploration else (None, ())
    if check is not None:
        for source in sources:
            attempt.reads(source)
        metrics |= check.metrics()
        details["live_check"] = check.details()
    if parts.refreshes:
        details[SEEN] = len(parts.refreshes)
        metrics |= _drift(seen, attempt, parts, check, details)
    metrics |= {"num_holdout": float(measured.predictions.num_rows), "seconds": time.monotonic() - begin}
    return attempt.commit(metrics=metrics, details=details)


def _drift(
    seen: Snapshot, attempt: Attempt, parts: PoolParts, check: LiveCheck | None, details: dict[str, Any]
) -> dict[str, float]:
    """Return metrics of how a pool that grows has changed, and say in the details whether the holdout stands for it."""
    gap, found = None, parts.refreshes[-1].details[DRIFT]
    if check is not None:
        gap, sources = holdout_gap(seen, check)
        for source in sources:
            attempt.reads(source)
    details[DRIFT] = drift_details(found, gap)
    return drift_metrics(found, gap)


class _Measured(NamedTuple):
    document: dict[str, Any]
    predictions: pa.Table
    refreshed: pa.Table | None = None


def _measure(campaign: Campaign, round_: int, task: Task, parts: PoolParts, found: Joined | None) -> _Measured:
    """Measure answers that have a distribution."""
    items, labels_N = access.holdout(campaign)
    _refuse_empty(campaign, items)
    calibration_items, calibration_labels_N = access.calibration(campaign)
    groups = [items, calibration_items, [] if found is None else found.items]
    known_labels = [labels_N, calibration_labels_N] if task.kind.corrects_prior else [np.empty(0, dtype=np.int64)]
    is_lopsided = label_prior.is_lopsided(np.concatenate(known_labels))
    (log_probs_NC, calibration_NC, joined_RC), prior_C = _predict(campaign, round_, groups, parts, is_lopsided)
    settings, judge = settings_of(campaign.config), task.kind.judge_of(task)
    document = judge.evaluate(log_probs_NC, labels_N, settings)
    document["label_prior"] = None if prior_C is None else prior_C.tolist()
    document |= {"temperature": None, "scaled": None} | thresholds.nothing()
    if calibration_items:
        split = Split([item.item_id for item in calibration_items], calibration_NC, calibration_labels_N)
        holdout = Split([item.item_id for item in items], log_probs_NC, labels_N)
        wanted = thresholds.wanted(campaign.config.evaluation, campaign.seed)
        halves = thresholds.halves(judge, split, wanted)
        fitted = judge.fit_temperature(halves.for_temperature.log_probs_NC, halves.for_temperature.labels_N)
        document["temperature"] = {"value": fitted, "num_calibration": len(halves.for_temperature.labels_N)}
        document["scaled"] = judge.evaluate_scaled(log_probs_NC, labels_N, fitted, settings)
        document |= call(task.kind, "conformal", thresholds.measure, judge, fitted, halves, holdout, wanted, settings)
    predictions = judge.predictions(items, labels_N, log_probs_NC, settings)
    if found is None:
        return _Measured(document, predictions)
    document[REFRESHED], weights = refreshed.measure(found, (log_probs_NC, joined_RC), labels_N, settings)
    joined = judge.predictions(found.items, found.labels_R, joined_RC, settings)
    return _Measured(document, predictions, refreshed.with_weights(joined, found, weights))


def _measure_texts(campaign: Campaign, round_: int, task: Task) -> _Measured:
    """Measure answers that the model writes."""
    items, texts = access.holdout_texts(campaign)
    _refuse_empty(campaign, items)
    document, predictions = written.measure(campaign, round_, task, items, texts, settings_of(campaign.config))
    empty = {"label_prior": None, "temperature": None, "scaled": None}
    return _Measured(document | empty | thresholds.nothing(thresholds.WRITTEN), predictions)


def _refuse_empty(campaign: Campaign, items: list[Item]) -> None:
    if not items:
        raise DataError(
            "the holdout is empty, so nothing can be measured",
            where=campaign.store.uri,
            remedy="Give `data.holdout` rows, or raise `data.holdout_size`.",
        )


def _predict(
    campaign: Campaign, round_: int, groups: list[list[Item]], parts: PoolParts, is_lopsided: bool
) -> tuple[list[FloatArray], FloatArray | None]:
    """Return the log-probabilities of groups of items, prior-corrected where asked, and the prior divided by."""
    from activelora.scoring.predict import Predictor

    with Predictor.load(campaign, round_) as predictor:
        prior_C = None
        if _corrects_prior(campaign, round_, is_lopsided):
            drawn = _prior_items(campaign, parts)
            estimated_C = label_prior.estimate_prior(_log_probs(campaign, predictor, drawn))
            prior_C = label_prior.shrunk(estimated_C, len(drawn))
        said = [
            averaged.over_samples(_log_probs(campaign, predictor, group), prior_C) if group else np.empty((0, 0))
            for group in groups
        ]
    return said, prior_C


def _log_probs(campaign: Campaign, predictor: Predictor, items: list[Item]) -> FloatArray:
    return averaged.log_probs(predictor, items, campaign.config.evaluation.num_samples, where=campaign.store.uri)


def _corrects_prior(campaign: Campaign, round_: int, is_lopsided: bool) -> bool:
    task = make_task(campaign.config.task)
    wanted = campaign.config.task.label_prior_correction
    is_corrected = task.kind.corrects_prior and task.reading != "mean_of_tokens"
    return is_corrected and (wanted == "always" or (wanted == "cold_start" and round_ == 0 and not is_lopsided))


def _prior_items(campaign: Campaign, parts: PoolParts) -> list[Item]:
    """Draw at most 200 items of the pool that the round sees, the same ones however it is sharded."""
    seed = campaign.seed("label_prior")
    drawn: list[Item] = []
    for shard in range(parts.num_shards):
        drawn += access.shard_items(campaign, shard, parts)
        drawn = sorted(drawn, key=lambda item: item_draw(seed, item.item_id))[:NUM_PRIOR_ITEMS]
    return sorted(drawn, key=lambda item: item.item_id)


def _metrics(kind: Kind, document: dict[str, Any]) -> dict[str, float]:
    """Return an evaluation's numbers; a judge of another package may have left some out, or what is no JSON in."""
    json.dumps(document)
    metrics = evaluation.flat_metrics(document) | _scaled_metrics(document) | thresholds.flat_metrics(document)
    if kind.headline.metric not in metrics:
        raise KeyError(kind.headline.metric)
    return metrics


def _refuse_unmeasured(campaign: Campaign, metrics: dict[str, float], headline: Headline) -> None:
    if headline.metric not in metrics:
        positive = campaign.config.evaluation.positive_label
        missing = "no item that could tell" if positive is None else f"no item with the label `{positive}`"
        raise DataError(
            f"{headline.word} cannot be measured: the holdout has {missing}",
            where=campaign.store.uri,
            remedy="Give a holdout with such items, or another `evaluation.primary`.",
        )


def _scaled_metrics(document: dict[str, Any]) -> dict[str, float]:
    if document["scaled"] is None:
        return {}
    scaled = {f"{name}_scaled": value for name, value in document["scaled"]["metrics"].items()}
    return {**scaled, "temperature": document["temperature"]["value"]}


def _gates(seen: Snapshot, attempt: Attempt, metrics: dict[str, float], headline: Headline) -> dict[str, Any]:
    round_ = attempt.unit.round
    present = champion(seen, before_round=round_)
    if present is not None:
        attempt.reads(present)
    base = base_of(seen) if round_ and seen.config.evaluation.gates.improve_on_base else None
    if base is not None and base is not present:
        attempt.reads(base)
    reasons = gate_failures(seen.config.evaluation.gates, round_, metrics, present, headline, base)
    passed = not reasons
    return {
        "gates": {"passed": passed, "reasons": reasons},
        "champion_round": round_ if passed else (present.round if present else None),
    }
