"""Prediction sets and answering alone, for every kind of task, as an evaluation's document has them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from activelora.config import EvaluationConfig, TaskConfig
from activelora.config.trust import AbstentionConfig, ConformalConfig
from activelora.evaluation import abstention, conformal, multi_label_evaluation, temperature, thresholds
from activelora.evaluation.conformal import PredictionIntervals, PredictionSets
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.evaluation.judges import Judge
from activelora.evaluation.thresholds import Halves, Split, ThresholdSettings
from activelora.intervals import wilson_interval
from activelora.kinds.registry import make_task
from activelora.tasks.task import Task

MEASURED = EvaluationSettings(num_bins=15, num_resamples=100, level=0.95, seed=3)
ALPHA, RISK = 0.2, 0.2
TASKS: dict[str, dict[str, Any]] = {
    "classification": {"labels": ["red", "green", "blue"]},
    "yes_no": {},
    "multiple_choice": {"prompt": "{text} {choices}", "answer": "letters"},
    "multi_label": {"prompt": "{text} {label}", "labels": ["red", "green"]},
    "regression": {"minimum": 1, "maximum": 3, "step": 0.5},
}
ANSWERS = {"classification": 3, "yes_no": 2, "multiple_choice": 4, "multi_label": 2, "regression": 5}


def task_of(kind: str) -> Task:
    return make_task(TaskConfig.model_validate({"kind": kind, "prompt": "{text}", **TASKS[kind]}))


def wanted(method: str = "lac", *, max_risk: float | None = RISK, class_conditional: bool = True) -> ThresholdSettings:
    config = EvaluationConfig(
        conformal=ConformalConfig.model_validate(
            {"method": method, "alpha": ALPHA, "class_conditional": class_conditional}
        ),
        abstention=AbstentionConfig(max_risk=max_risk, confidence=0.8),
    )
    return thresholds.wanted(config, lambda name: len(name))


def split(kind: str, num: int, seed: int) -> Split:
    """Return what a model that is right more often than not says of items."""
    rng = np.random.default_rng(seed)
    num_answers = ANSWERS[kind]
    if kind == "multi_label":
        labels_N = rng.integers(0, 4, size=num)
        logits = rng.normal(size=(num, num_answers, 2))
        logits[..., 1] += 3.0 * (2 * multi_label_evaluation.bits(labels_N, 2) - 1)
    else:
        labels_N = rng.integers(0, num_answers, size=num)
        logits = rng.normal(size=(num, num_answers))
        logits[np.arange(num), labels_N] += 2.5
        if kind == "multiple_choice":
            labels_N = np.minimum(labels_N, 1)
            logits[::2, 2:] = -np.inf
    log_probs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    return Split([f"{seed}-{index}" for index in range(num)], log_probs, labels_N.astype(np.int64))


def judge_of(kind: str) -> Judge:
    task = task_of(kind)
    return task.kind.judge_of(task)


def measured(kind: str, settings: ThresholdSettings, num: int = 120) -> tuple[dict[str, Any], Halves, Split]:
    judge, holdout = judge_of(kind), split(kind, 200, 1)
    parts = thresholds.halves(judge, split(kind, num, 2), settings)
    document = thresholds.measure(judge, 1.5, parts, holdout, settings, MEASURED)
    return json.loads(json.dumps(document, allow_nan=False)), parts, holdout


@pytest.mark.parametrize("method", ["lac", "aps", "raps"])
@pytest.mark.parametrize("kind", TASKS)
def test_coverage_and_size_are_counted_on_the_holdout_with_what_the_document_says(kind: str, method: str) -> None:
    document, parts, holdout = measured(kind, wanted(method))
    found, said = conformal.from_document(document["conformal"]), document["conformal"]["holdout"]
    assert parts.for_thresholds is not None
    assert document["conformal"]["num_items"] == len(parts.for_thresholds.item_ids) == 60
    scaled = temperature.scale(
        holdout.log_probs_NC.reshape(len(holdout.labels_N) * (2 if kind == "multi_label" else 1), -1), 1.5
    )
    if isinstance(found, PredictionIntervals):
        assert kind == "regression"
        values_C = np.array(task_of(kind).values)
        low_N, high_N = found.intervals(scaled @ values_C)
        covered = [
            low <= values_C[label] <= high for low, high, label in zip(low_N, high_N, holdout.labels_N, strict=True)
        ]
        size, name = float((high_N - low_N).mean()), "interval_width"
    else:
        assert isinstance(found, PredictionSets)
        if kind == "multi_label":
            sets_NC = found.sets(scaled[:, 1].reshape(-1, 2))
            covered = [
                all(row[label] for label in range(2) if mask >> label & 1)
                for row, mask in zip(sets_NC, holdout.labels_N, strict=True)
            ]
        else:
            sets_NC = found.sets(scaled, found.draws(holdout.item_ids))
            covered = [bool(row[label]) for row, label in zip(sets_NC, holdout.labels_N, strict=True)]
            assert not sets_NC[~np.isfinite(holdout.log_probs_NC)].any(), "a set holds an answer that is none"
        size, name = float(sets_NC.sum(axis=1).mean()), "set_size"
        assert said["single_share"] == (sets_NC.sum(axis=1) == 1).mean()
    assert said["coverage"] == np.mean(covered) >= 1 - ALPHA - 0.13
    assert said["coverage_interval"] == list(wilson_interval(sum(covered), len(covered), 0.95))
    assert said[name] == pytest.approx(size)
    low, high = said[f"{name}_interval"]
    assert low <= size <= high
    flat = thresholds.flat_metrics(document)
    assert {"conformal_coverage", "conformal_coverage_low", f"conformal_{name}_high"} <= set(flat)


@pytest.mark.parametrize("kind", TASKS)
def test_what_is_answered_alone_is_counted_on_the_holdout(kind: str) -> None:
    document, _, holdout = measured(kind, wanted())
    found = abstention.from_document(document["abstention"])
    if kind == "regression":
        assert found is None
        assert "not right or wrong" in document["no_thresholds"]["abstention"]
        return
    assert found is not None
    threshold, said = found.threshold(RISK), document["abstention"]["holdout"]
    assert threshold is not None
    outcomes = judge_of(kind).outcomes(holdout.log_probs_NC, holdout.labels_N, 1.5)
    assert outcomes is not None
    alone = [right for sure, right in zip(*outcomes, strict=True) if sure >= threshold]
    assert said["threshold"] == threshold
    assert (said["share"], said["error"]) == (len(alone) / 200, alone.count(0.0) / len(alone))
    assert document["abstention"]["words"] == abstention.words(said, found)
    assert [point["max_risk"] for point in document["abstention"]["offered"]] == [0.01, 0.02, 0.05, 0.1, 0.2]
    assert {"alone_share", "alone_error", "alone_error_low"} <= set(thresholds.flat_metrics(document))


@pytest.mark.parametrize("kind", ["classification", "multi_label"])
def test_the_confidence_of_an_answer_is_the_probability_that_it_is_right(kind: str) -> None:
    many = split(kind, 20_000, 5)
    outcomes = judge_of(kind).outcomes(many.log_probs_NC, many.labels_N, 1.0)
    assert outcomes is not None
    best = 0.0
    for low in np.linspace(0.3, 0.9, 7):
        inside_N = (outcomes.confidence_N >= low) & (outcomes.confidence_N < low + 0.1)
        share = outcomes.correct_N[inside_N].mean()
        assert share >= best - 0.05, "answers of higher confidence are right more rarely"
        best = max(best, share)


def test_the_halves_are_drawn_by_ids_and_not_by_their_order() -> None:
    whole, judge, settings = split("classification", 41, 4), judge_of("classification"), wanted()
    one = thresholds.halves(judge, whole, settings)
    order_N = np.random.default_rng(0).permutation(41)
    other = thresholds.halves(judge, whole.part(order_N), settings)
    assert one.for_thresholds is not None
    assert other.for_thresholds is not None
    assert set(one.for_thresholds.item_ids) == set(other.for_thresholds.item_ids)
    assert (len(one.for_temperature.item_ids), len(one.for_thresholds.item_ids)) == (20, 21)
    assert set(one.for_temperature.item_ids) | set(one.for_thresholds.item_ids) == set(whole.item_ids)
    seeded = thresholds.halves(judge, whole, replace(settings, seed=settings.seed + 1))
    assert seeded.for_temperature.item_ids != one.for_temperature.item_ids
    by_id = dict(zip(whole.item_ids, whole.labels_N, strict=True))
    assert [by_id[item_id] for item_id in one.for_thresholds.item_ids] == one.for_thresholds.labels_N.tolist()


@pytest.mark.parametrize("num", [1, 2, 7, 8, 40])
def test_a_split_that_is_too_small_stays_whole_for_the_temperature_and_says_so(num: int) -> None:
    document, parts, _ = measured("classification", wanted(max_risk=None), num)
    fewest = conformal.fewest(ALPHA)
    if num < 2 * fewest - 1:
        assert len(parts.for_temperature.item_ids) == num
        assert document["conformal"] is document["abstention"] is None
        assert document["no_thresholds"]["conformal"] == (
            f"thresholds need {fewest} calibration rows, half of the split, which has {num}"
        )
        assert thresholds.flat_metrics(document) == {}
    else:
        assert document["conformal"]["num_items"] == num - num // 2
        assert document["abstention"] is None
        assert document["no_thresholds"] == {"abstention": "left out by the campaign's settings"}


def test_a_half_that_is_large_enough_for_one_of_the_two_has_that_one() -> None:
    settings = wanted()
    assert settings.conformal is not None
    settings = replace(settings, conformal=replace(settings.conformal, alpha=0.01))
    document, _, _ = measured("classification", settings)
    assert document["conformal"] is None
    assert (
        "needs at least 99 calibration rows for thresholds, and there are 60" in document["no_thresholds"]["conformal"]
    )
    assert document["abstention"]["num_items"] == 60


def test_each_label_has_its_threshold_where_each_has_enough_rows() -> None:
    by_class, _, _ = measured("classification", wanted())
    assert len(by_class["conformal"]["class_thresholds"]) == 3
    assert by_class["conformal"]["remark"] == ""
    plain, _, _ = measured("classification", wanted(class_conditional=False))
    assert plain["conformal"]["class_thresholds"] is None
    few, _, _ = measured("classification", wanted(), 16)
    assert few["conformal"]["class_thresholds"] is None
    assert few["conformal"]["remark"].startswith("one threshold for all labels: a threshold for each label needs 4")
    own, _, _ = measured("multiple_choice", wanted())
    assert own["conformal"]["class_thresholds"] is None


def test_a_kind_of_another_package_may_know_no_thresholds() -> None:
    class Old:
        """A judge from before there were thresholds."""

    parts = thresholds.halves(Old(), split("classification", 60, 2), wanted())
    assert parts.for_thresholds is None
    assert len(parts.for_temperature.item_ids) == 60
    assert parts.reason == "the kind of task does not say how"
