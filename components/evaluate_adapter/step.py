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
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.errors import DIVERGED, DataError, ModelError
from activelora.evaluation import evaluation, thresholds
from activelora.evaluation.classification_metrics import FloatArray
from activelora.evaluation.exploration_check import live_check
from activelora.evaluation.gates import champion, gate_failures
from activelora.evaluation.headline import Headline
from activelora.evaluation.thresholds import Split
from activelora.kinds.registry import make_task
from activelora.pool import access
from activelora.registry import call
from activelora.seeding import item_draw
from activelora.tasks.task import Kind, Task
from activelora.uncertainty import label_prior
from components.evaluate_adapter import written

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
    attempt.reads(campaign.require(Unit("ingest_pool")))
    if round_ > 0:
        attempt.reads(campaign.require(Unit("train_adapter", round_)))
    task = make_task(campaign.config.task)
    measured = _measure_texts(campaign, round_, task) if task.kind.writes else _measure(campaign, round_, task)
    document = measured.document
    metrics = call(task.kind, "evaluate", _metrics, task.kind, document)
    attempt.write_json("evaluation.json", document)
    attempt.write_table("predictions.parquet", measured.predictions)

    details = _gates(seen, attempt, metrics, task.kind.headline)
    check, sources = live_check(seen, round_) if task.kind.checks_exploration else (None, ())
    if check is not None:
        for source in sources:
            attempt.reads(source)
        metrics |= check.metrics()
        details["live_check"] = check.details()
    metrics |= {"num_holdout": float(measured.predictions.num_rows), "seconds": time.monotonic() - begin}
    return attempt.commit(metrics=metrics, details=details)


class _Measured(NamedTuple):
    document: dict[str, Any]
    predictions: pa.Table


def _measure(campaign: Campaign, round_: int, task: Task) -> _Measured:
    """Measure answers that have a distribution."""
    items, labels_N = access.holdout(campaign)
    _refuse_empty(campaign, items)
    calibration_items, calibration_labels_N = access.calibration(campaign)
    log_probs_NC, calibration_NC, prior_C = _predict(campaign, round_, items, calibration_items)
    settings, judge = _settings(campaign), task.kind.judge_of(task)
    document = judge.evaluate(log_probs_NC, labels_N, settings)
    document["label_prior"] = None if prior_C is None else prior_C.tolist()
    document |= {"temperature": None, "scaled": None} | thresholds.nothing()
    if calibration_NC is not None:
        split = Split([item.item_id for item in calibration_items], calibration_NC, calibration_labels_N)
        holdout = Split([item.item_id for item in items], log_probs_NC, labels_N)
        wanted = thresholds.wanted(campaign.config.evaluation, campaign.seed)
        parts = thresholds.halves(judge, split, wanted)
        fitted = judge.fit_temperature(parts.for_temperature.log_probs_NC, parts.for_temperature.labels_N)
        document["temperature"] = {"value": fitted, "num_calibration": len(parts.for_temperature.labels_N)}
        document["scaled"] = judge.evaluate_scaled(log_probs_NC, labels_N, fitted, settings)
        document |= call(task.kind, "conformal", thresholds.measure, judge, fitted, parts, holdout, wanted, settings)
    return _Measured(document, judge.predictions(items, labels_N, log_probs_NC, settings))


def _measure_texts(campaign: Campaign, round_: int, task: Task) -> _Measured:
    """Measure answers that the model writes."""
    items, texts = access.holdout_texts(campaign)
    _refuse_empty(campaign, items)
    document, predictions = written.measure(campaign, round_, task, items, texts, _settings(campaign))
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
    campaign: Campaign, round_: int, items: list[Item], calibration_items: list[Item]
) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
    """Return log-probabilities of holdout and calibration items, prior-corrected where asked, and the prior."""
    from activelora.scoring.predict import Predictor

    with Predictor.load(campaign, round_) as predictor:
        prior_C = None
        if _corrects_prior(campaign, round_):
            prior_C = label_prior.estimate_prior(_log_probs(campaign, predictor, _prior_items(campaign)))
        mixed_NC = []
        for group in (items, calibration_items) if calibration_items else (items,):
            log_probs_NKC = _log_probs(campaign, predictor, group)
            if prior_C is not None:
                log_probs_NKC = label_prior.correct(log_probs_NKC, label_prior.fitted(prior_C, log_probs_NKC.shape[-1]))
            mixed_NC.append(_mean_over_samples(log_probs_NKC))
    return mixed_NC[0], mixed_NC[1] if calibration_items else None, prior_C


def _log_probs(campaign: Campaign, predictor: Predictor, items: list[Item]) -> FloatArray:
    log_probs_NKC = predictor.log_probs(items, num_samples=campaign.config.evaluation.num_samples)
    if (bad := np.isnan(log_probs_NKC.reshape(len(items), -1)).any(axis=1)).any():
        raise ModelError(
            f"the model's probabilities are not numbers for {int(bad.sum())} of {len(items)} items, "
            f"first {items[int(bad.argmax())].item_id}",
            where=campaign.store.uri,
            remedy=DIVERGED,
        )
    return log_probs_NKC


def _mean_over_samples(log_probs_NKC: FloatArray) -> FloatArray:
    total_NC = np.logaddexp.reduce(log_probs_NKC, axis=1)
    return np.asarray(total_NC - np.log(log_probs_NKC.shape[1]), dtype=np.float64)


def _corrects_prior(campaign: Campaign, round_: int) -> bool:
    task = make_task(campaign.config.task)
    wanted = campaign.config.task.label_prior_correction
    is_corrected = task.kind.corrects_prior and task.reading != "mean_of_tokens"
    return is_corrected and (wanted == "always" or (wanted == "cold_start" and round_ == 0))


def _prior_items(campaign: Campaign) -> list[Item]:
    """Draw at most 200 items of the pool, the same ones in every round and however it is sharded."""
    seed = campaign.seed("label_prior")
    drawn: list[Item] = []
    for shard in range(access.num_shards(campaign)):
        drawn += access.shard_items(campaign, shard)
        drawn = sorted(drawn, key=lambda item: item_draw(seed, item.item_id))[:NUM_PRIOR_ITEMS]
    return sorted(drawn, key=lambda item: item.item_id)


def _settings(campaign: Campaign) -> evaluation.EvaluationSettings:
    config = campaign.config.evaluation
    return evaluation.EvaluationSettings(
        num_bins=config.num_bins,
        num_resamples=config.bootstrap_samples,
        level=config.confidence_level,
        seed=campaign.seed("bootstrap"),
        label_names=make_task(campaign.config.task).label_names,
    )


def _metrics(kind: Kind, document: dict[str, Any]) -> dict[str, float]:
    """Return an evaluation's numbers; a judge of another package may have left some out, or what is no JSON in."""
    json.dumps(document)
    metrics = evaluation.flat_metrics(document) | _scaled_metrics(document) | thresholds.flat_metrics(document)
    if kind.headline.metric not in metrics:
        raise KeyError(kind.headline.metric)
    return metrics


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
    reasons = gate_failures(seen.config.evaluation.gates, round_, metrics, present, headline)
    passed = not reasons
    return {
        "gates": {"passed": passed, "reasons": reasons},
        "champion_round": round_ if passed else (present.round if present else None),
    }
