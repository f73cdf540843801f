"""A comparison as one JSON document: curves, summaries, tests and a sentence on each method."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activelora import __version__
from activelora.comparison.measured import (
    CONTROL,
    Method,
    Run,
    area,
    common_labels,
    holdout_noise,
    item_noise,
    paired_differences,
    paired_losses,
)
from activelora.comparison.power import MeanError, smallest_detectable
from activelora.comparison.statistics import area_weights, holm, labels_to_target, paired_test
from activelora.comparison.words import calibration_sentence, power_sentence, sentence, verdict
from activelora.errors import DataError
from activelora.evaluation.headline import Headline
from activelora.evaluation.headline_values import sign_of

Document = dict[str, Any]
FloatArray = NDArray[np.float64]
SECONDARY = ("ece", "nll")
"""Metrics of calibration beside the headline one, where the task has them; lower is better. They are tested in the last
round."""
MEASURES = ("aulc", "final")
"""What is tested: the area under the learning curve, which the verdict goes by, and the last round."""


def comparison_document(runs: Sequence[Run], *, target: float | None = None, level: float = 0.95) -> Document:
    """Return what a comparison found.

    The control of a method is random acquisition with the same adapter; that of random acquisition with another
    adapter than the first is random acquisition with the first. The p-values of each measure are corrected together
    (Holm).

    Args:
        runs: Finished campaigns: every method with every seed.
        target: Value of the headline metric to count labels to; None takes what random acquisition ends with.
        level: Confidence level of the intervals, in (0, 1).

    Raises:
        DataError: Methods or seeds are missing, or the curves do not have the same label counts.
    """
    labels_R = common_labels(runs)
    by_method: dict[Method, list[Run]] = {}
    for run in runs:
        by_method.setdefault(run.method, []).append(run)
    by_method = {method: sorted(some, key=lambda run: run.seed) for method, some in by_method.items()}
    seeds = [run.seed for run in next(iter(by_method.values()))]
    if any([run.seed for run in some] != seeds for some in by_method.values()):
        raise DataError("not every method was run with every seed, so they cannot be compared in pairs")
    headline = runs[0].headline
    control = next((some for method, some in by_method.items() if method.strategy == CONTROL), None)
    if control is None:
        raise DataError(f"`{CONTROL}` is not among the methods, so there is nothing to compare with")
    wanted = statistics.mean(run.metric(headline.metric)[-1] for run in control) if target is None else target
    several = len({method.adapter for method in by_method}) > 1
    methods = [
        _method(method, some, _control_of(method, by_method), several, wanted, level)
        for method, some in by_method.items()
    ]
    _correct(methods, headline, labels_R[-1])
    detectable = _detectable(methods)
    return {
        "name": runs[0].campaign.config.name,
        "code_version": __version__,
        "base_model": _model_name(runs[0].campaign.config.model.base),
        "headline": asdict(headline),
        "level": level,
        "seeds": seeds,
        "labels": labels_R,
        "num_holdout": int(runs[0].records[-1].metrics.get("num_holdout", 0)),
        "target": wanted,
        "target_is_given": target is not None,
        "detectable": detectable,
        "power_sentence": power_sentence(detectable, headline, len(seeds)),
        "methods": methods,
    }


def _control_of(method: Method, by_method: Mapping[Method, list[Run]]) -> tuple[Method, list[Run]] | None:
    if method.strategy != CONTROL:
        control = Method(CONTROL, method.adapter)
    else:
        control = next(one for one in by_method if one.strategy == CONTROL)
    if control == method:
        return None
    if control not in by_method:
        raise DataError(f"`{CONTROL}` with the adapter `{control.adapter}` is not among the methods")
    return control, by_method[control]


def _method(
    method: Method,
    runs: list[Run],
    control: tuple[Method, list[Run]] | None,
    several: bool,
    target: float,
    level: float,
) -> Document:
    headline = runs[0].headline
    shown = [name for name in SECONDARY if name in runs[0].records[-1].metrics and name != headline.metric]
    entries = [_run(run, headline, shown, target) for run in runs]
    return {
        "name": method.named(several),
        "strategy": method.strategy,
        "adapter": method.adapter,
        "control": control[0].named(several) if control else None,
        "runs": entries,
        "summary": {
            "aulc": _spread([entry["aulc"] for entry in entries]),
            "final": _spread([entry["points"][-1][headline.metric] for entry in entries]),
            **{name: _spread([entry["points"][-1][name] for entry in entries]) for name in shown},
            "labels_to_target": _needed(runs, [entry["labels_to_target"] for entry in entries], target),
            "seconds": _spread([entry["seconds"] for entry in entries]),
        },
        "tests": _tests(runs, control[1], shown, level) if control else None,
    }


def _run(run: Run, headline: Headline, shown: Sequence[str], target: float) -> Document:
    sign = sign_of(headline)
    values_R = [sign * value for value in run.metric(headline.metric)]
    return {
        "seed": run.seed,
        "points": [
            {"labels": record.num_labels, **{name: record.metrics[name] for name in (headline.metric, *shown)}}
            for record in run.records
        ],
        "aulc": area(run),
        "labels_to_target": labels_to_target(run.num_labels, values_R, sign * target),
        "seconds": run.seconds,
    }


def _needed(runs: Sequence[Run], by_seed: Sequence[float | None], target: float) -> Document:
    """Return the labels at which the mean curve reaches the target, and the range over seeds; None is not reached.

    A mean over the seeds that reach it would reward a method for the seeds that do not.
    """
    headline, reached = runs[0].headline, [count for count in by_seed if count is not None]
    sign = sign_of(headline)
    mean_R = sign * np.mean([run.metric(headline.metric) for run in runs], axis=0)
    return {
        "mean_curve": labels_to_target(runs[0].num_labels, mean_R.tolist(), sign * target),
        "low": min(reached, default=None),
        "high": max(reached, default=None) if len(reached) == len(by_seed) else None,
    }


def _tests(runs: list[Run], control: list[Run], shown: Sequence[str], level: float) -> Document | None:
    """Return the tests of the headline metric and, at the last round, of calibration; above 0 is better in all."""
    labels_R = runs[0].num_labels
    last_R = np.zeros(len(labels_R))
    last_R[-1] = 1.0
    tests: Document = {}
    for measure, weights_R in zip(MEASURES, (area_weights(labels_R), last_R), strict=True):
        differences = paired_differences(runs, control, weights_R)
        if differences.size < 2:  # one seed, and a metric that is no mean over items: nothing to learn luck from
            return None
        by_seed = differences.shape[1] == 1
        noise = holdout_noise(runs, control, weights_R) if by_seed else 0.0
        tests[measure] = _tested(differences, level, noise, item_noise(runs, control, weights_R) if by_seed else 0.0)
    for name in shown:
        differences = paired_losses(runs, control, name)
        if differences.size >= 2:
            tests[name] = _tested(differences, level)
    return tests


def _tested(differences: FloatArray, level: float, noise: float = 0.0, item_variance: float = 0.0) -> Document:
    found = asdict(paired_test(differences, level, noise, item_variance))
    return found | {"p_value": None if math.isnan(found["p_value"]) else found["p_value"]}


def _correct(methods: list[Document], headline: Headline, num_labels: int) -> None:
    """Add Holm's p-values, the verdict and the sentence."""
    tested = [method for method in methods if method["tests"] is not None]
    for measure in (*MEASURES, *SECONDARY):
        tests = [method["tests"][measure] for method in tested if measure in method["tests"]]
        raw = [math.nan if test["p_value"] is None else test["p_value"] for test in tests]
        for test, value in zip(tests, holm(raw), strict=True):
            test["p_adjusted"] = None if math.isnan(value) else value
    num_compared = sum(method["tests"]["aulc"]["p_adjusted"] is not None for method in tested)
    for method in methods:
        method["verdict"] = verdict(method)
        method["sentence"] = sentence(method, headline, num_labels, num_compared)
        method["calibration_sentence"] = calibration_sentence(method, num_labels)


def _detectable(methods: Sequence[Document]) -> float | None:
    """Return the difference in AULC that this comparison would find in 4 of 5 repeats, by its own spread.

    The median over methods; None where one seed tells nothing of others.
    """
    tests = [method["tests"]["aulc"] for method in methods if method["tests"] is not None]
    tests = [test for test in tests if test["p_value"] is not None]
    sizes = [smallest_detectable(MeanError(test["error"], test["freedom"]), len(tests)) for test in tests]
    return statistics.median(sizes) if sizes else None


def _model_name(base: str) -> str:
    """Return a model's name without the folder that it lies in on this machine; a hub id stays whole."""
    return PurePath(base).name if PurePath(base).is_absolute() else base


def _spread(values: Sequence[float]) -> Document:
    return {"mean": statistics.mean(values), "low": min(values), "high": max(values)}
