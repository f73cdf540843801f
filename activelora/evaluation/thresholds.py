"""Which answers to trust: prediction sets and the confidence above which the model may answer alone, as documents.

The calibration split is halved by a seeded draw. The temperature is fitted on one half; the thresholds come from the
other, to which the model with its temperature is then as fixed as to any new item.

Letters: N items.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from activelora.evaluation import abstention, bootstrap, conformal
from activelora.evaluation.abstention import OFFERED_RISKS, Outcomes
from activelora.evaluation.classification_metrics import FloatArray, IntArray
from activelora.evaluation.conformal import ConformalSettings, Covered, PredictionSets, Said, TooFewRowsError
from activelora.evaluation.conformal_scores import Rule
from activelora.intervals import wilson_interval
from activelora.registry import unguarded
from activelora.seeding import item_draw

if TYPE_CHECKING:
    from activelora.config import EvaluationConfig
    from activelora.evaluation.evaluation import EvaluationSettings
    from activelora.evaluation.judges import Judge

WRITTEN = "the model writes its answers: there is no list of answers to make sets of, and no calibration split"
_NO_SPLIT = "there is no calibration split (data.calibration_size)"
_NOT_WANTED = "left out by the campaign's settings"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ThresholdSettings:
    """What is wanted of the calibration split beside a temperature.

    Attributes:
        conformal: Prediction sets; None leaves them out.
        max_risk: The error at which the model may answer alone, in (0, 1); None leaves abstention out.
        confidence: How sure that must be, in (0, 1).
        seed: Seed of the draw that halves the split.
    """

    conformal: ConformalSettings | None
    max_risk: float | None
    confidence: float
    seed: int

    def fewest(self) -> int | None:
        """Return how many items the thresholds' half needs for anything to come of it; None if nothing is wanted."""
        wanted = [] if self.conformal is None else [conformal.fewest(self.conformal.alpha)]
        if self.max_risk is not None:
            wanted.append(abstention.fewest(self.max_risk, self.confidence))
        return min(wanted, default=None)


def wanted(config: EvaluationConfig, seed: Callable[[str], int]) -> ThresholdSettings:
    """Return what a campaign's settings want.

    Args:
        config: The section `evaluation`.
        seed: Returns the seed of a named draw.
    """
    sets, alone = config.conformal, config.abstention
    conformal_settings = None
    if sets.method != "none":
        rule = Rule(sets.method, seed("conformal"), sets.penalty, sets.free_ranks)
        conformal_settings = ConformalSettings(sets.alpha, rule, sets.class_conditional)
    return ThresholdSettings(conformal_settings, alone.max_risk, alone.confidence, seed("calibration halves"))


class Split(NamedTuple):
    """Labelled items and what the model says of them.

    Attributes:
        item_ids: Their ids.
        log_probs_NC: Log-probabilities, averaged over samples.
        labels_N: Right labels.
    """

    item_ids: Sequence[str]
    log_probs_NC: FloatArray
    labels_N: IntArray

    def part(self, indices_N: IntArray) -> Split:
        """Return some of the items."""
        return Split(
            [self.item_ids[index] for index in indices_N], self.log_probs_NC[indices_N], self.labels_N[indices_N]
        )


class Halves(NamedTuple):
    """The two parts of a calibration split.

    Attributes:
        for_temperature: The part that the temperature is fitted on; the whole split where no thresholds are set.
        for_thresholds: The part that thresholds are set on; None where there are none.
        reason: Why there are none, in words; empty where there are.
    """

    for_temperature: Split
    for_thresholds: Split | None
    reason: str = ""


def sizes(num_items: int, settings: ThresholdSettings) -> tuple[int, int]:
    """Return how many calibration items the temperature is fitted on, and how many the thresholds are set on.

    The split stays whole, with no thresholds, where its half would be too small for any.
    """
    fewest, second = settings.fewest(), num_items - num_items // 2
    if fewest is None or second < fewest or num_items < 2:
        return num_items, 0
    return num_items - second, second


def halves(judge: Judge, split: Split, settings: ThresholdSettings) -> Halves:
    """Return the two halves, drawn by the items' ids: the same ones wherever and whenever they are drawn.

    Args:
        judge: Measures the kind of task; of another package's kind it may know no thresholds.
        split: The calibration split.
        settings: Which thresholds are wanted.
    """
    num = len(split.item_ids)
    if not hasattr(unguarded(judge), "conformal"):
        return Halves(split, None, "the kind of task does not say how")
    first, second = sizes(num, settings)
    if not second:
        fewest = settings.fewest()
        text = f"thresholds need {fewest} calibration rows, half of the split, which has {num}"
        return Halves(split, None, _NOT_WANTED if fewest is None else text)
    draws_N = np.array([item_draw(settings.seed, item_id) for item_id in split.item_ids])
    order_N = np.argsort(draws_N, kind="stable")
    logger.info("calibration split: %d rows for the temperature, %d for the thresholds", first, second)
    return Halves(split.part(np.sort(order_N[:first])), split.part(np.sort(order_N[first:])))


def nothing(reason: str | None = None) -> dict[str, Any]:
    """Return the document of an evaluation without thresholds, with the reason; None is that there is no split."""
    text = _NO_SPLIT if reason is None else reason
    return {"conformal": None, "abstention": None, "no_thresholds": {"conformal": text, "abstention": text}}


def measure(
    judge: Judge, fitted: float, parts: Halves, holdout: Split, asked: ThresholdSettings, settings: EvaluationSettings
) -> dict[str, Any]:
    """Return thresholds, and what they do on the holdout, as a document.

    Keys: ``conformal`` and ``abstention`` (what their modules' ``from_document`` reads, each with ``holdout``; None
    where there are no thresholds) and ``no_thresholds``, their reasons.

    Args:
        judge: Measures the kind of task.
        fitted: The temperature.
        parts: The calibration split.
        holdout: The holdout.
        asked: Which thresholds are wanted.
        settings: How to measure.
    """
    tested = parts.for_thresholds
    if tested is None:
        return nothing(parts.reason)
    document = nothing(_NOT_WANTED)
    for name, found in (
        ("conformal", _conformal(judge, fitted, tested, holdout, asked.conformal, settings)),
        ("abstention", _abstention(judge, fitted, parts.for_temperature, tested, holdout, asked, settings)),
    ):
        if isinstance(found, str):
            document["no_thresholds"][name] = found
        else:
            document[name] = found
            del document["no_thresholds"][name]
    return document


def flat_metrics(document: dict[str, Any]) -> dict[str, float]:
    """Return what the thresholds do on the holdout under the names that manifests and MLflow use."""
    metrics: dict[str, float] = {}
    if (sets := document.get("conformal")) is not None:
        for name in ("coverage", "set_size", "interval_width"):
            metrics |= _flat(f"conformal_{name}", sets["holdout"].get(name), sets["holdout"].get(f"{name}_interval"))
    if (alone := document.get("abstention")) is not None:
        for name in ("share", "error"):
            metrics |= _flat(f"alone_{name}", alone["holdout"][name], alone["holdout"][f"{name}_interval"])
    return metrics


def _flat(name: str, value: float | None, interval: Sequence[float] | None) -> dict[str, float]:
    if value is None or interval is None:
        return {}
    return {name: value, f"{name}_low": interval[0], f"{name}_high": interval[1]}


def _conformal(
    judge: Judge,
    fitted: float,
    tested: Split,
    holdout: Split,
    asked: ConformalSettings | None,
    settings: EvaluationSettings,
) -> dict[str, Any] | str:
    """Return the document of prediction sets, or why there is none."""
    if asked is None:
        return _NOT_WANTED
    calibration, fresh = (
        Said(one.log_probs_NC, one.labels_N, asked.rule.draws(one.item_ids)) for one in (tested, holdout)
    )
    try:
        result = judge.conformal(calibration, fresh, fitted, asked)
    except TooFewRowsError as error:
        return str(error)
    return result.found.document() | {"remark": result.remark, "holdout": _on_holdout(result, settings)}


def _on_holdout(result: Covered, settings: EvaluationSettings) -> dict[str, Any]:
    found, covered_N, size_N, _ = result
    name = "set_size" if isinstance(found, PredictionSets) else "interval_width"
    num = len(covered_N)
    interval = bootstrap.percentile_interval(
        bootstrap.mean_of(size_N), num, num_resamples=settings.num_resamples, level=settings.level, seed=settings.seed
    )
    document = {
        "coverage": float(covered_N.mean()),
        "coverage_interval": list(wilson_interval(int(covered_N.sum()), num, settings.level)),
        name: float(size_N.mean()),
        f"{name}_interval": list(interval),
    }
    if isinstance(found, PredictionSets):
        document |= {"empty_share": float((size_N == 0).mean()), "single_share": float((size_N == 1).mean())}
    return document


def _abstention(
    judge: Judge,
    fitted: float,
    learned: Split,
    tested: Split,
    holdout: Split,
    asked: ThresholdSettings,
    settings: EvaluationSettings,
) -> dict[str, Any] | str:
    """Return the document of abstention, or why there is none."""
    if asked.max_risk is None:
        return _NOT_WANTED
    outcomes: list[Outcomes] = []
    for split in (learned, tested, holdout):
        found = judge.outcomes(split.log_probs_NC, split.labels_N, fitted)
        if found is None:
            return "a number is near or far, not right or wrong: there is no error to bound"
        outcomes.append(found)
    fit, risks = abstention.fit(outcomes[0], outcomes[1], asked.confidence), sorted({*OFFERED_RISKS, asked.max_risk})
    points = [abstention.operating_point(fit, risk, outcomes[2], settings.level) for risk in risks]
    chosen = points[risks.index(asked.max_risk)]
    return fit.document() | {"holdout": chosen, "offered": points, "words": abstention.words(chosen, fit)}
