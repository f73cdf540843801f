"""Which answers a person should look at, and the sets that the truth is among.

Letters: N items, C answers or labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from activelora.campaign.records import Item
from activelora.errors import ModelError
from activelora.evaluation import abstention, conformal
from activelora.evaluation.classification_metrics import FloatArray
from activelora.prediction.answers import Answer, choice_names
from activelora.prediction.readings import Readings
from activelora.tasks.task import Task


@dataclass(frozen=True)
class Thresholds:
    """What somebody asks of answers that are to stand alone.

    Attributes:
        min_confidence: Smallest probability; None asks for none.
        max_risk: Largest share of wrong ones among them, in [0, 1]; None asks for none.
    """

    min_confidence: float | None = None
    max_risk: float | None = None


NO_THRESHOLDS = Thresholds()


class Reviewer:
    """Marks the answers that a person should look at.

    Where nothing is asked, the campaign's own ``evaluation.abstention.max_risk`` is, if its evaluation has thresholds
    for it; else answers are marked whose prediction set is not one single label, if there are such sets.

    Attributes:
        least: Answers of a smaller probability are marked; None marks none for that.
        rule: What is marked, in words.

    Args:
        readings: What the evaluation found.
        thresholds: What is asked.
        own_risk: The campaign's own largest share of wrong answers among those that stand alone.
        has_probability: Whether answers have a probability.
        where: The model's place, for messages.

    Raises:
        ModelError: The evaluation knows no threshold for the risk, or answers have no probability.
    """

    def __init__(
        self, readings: Readings, thresholds: Thresholds, own_risk: float | None, *, has_probability: bool, where: str
    ) -> None:
        asked = thresholds.min_confidence is not None or thresholds.max_risk is not None
        if asked and not has_probability:
            raise ModelError(
                "the answers are numbers, which have no probability that a threshold could be asked of",
                where=where,
                remedy="Leave the threshold out; each answer has an interval.",
            )
        max_risk = thresholds.max_risk
        if not asked and has_probability and readings.abstention is not None:
            max_risk = own_risk
        self.least = thresholds.min_confidence
        said = [] if self.least is None else [f"a probability below {self.least:g}"]
        if max_risk is not None:
            alone = _threshold(readings, max_risk, where)
            self.least = max(self.least or 0.0, alone)
            said.append(_in_words(alone, max_risk))
        self._by_set = not said and has_probability and readings.conformal is not None
        if self._by_set:
            said.append("a prediction set that is not one single label")
        self.rule = " or ".join(said) or "nothing but rows without an answer: the model knows no threshold"

    def needs_review(self, answer: Answer) -> bool:
        """Tell whether a person should look at an answer."""
        if answer.problem is not None:
            return True
        if self.least is not None:
            return answer.probability is None or answer.probability < self.least
        if not self._by_set or answer.prediction_set is None or isinstance(answer.label, list):
            return False
        return len(answer.prediction_set) != 1


class SetMaker:
    """Adds prediction sets, or intervals of numbers, to answers.

    Args:
        readings: What the evaluation found.
        task: The task.
    """

    def __init__(self, readings: Readings, task: Task) -> None:
        self._found = conformal.from_document(readings.conformal)
        self._task = task

    def __bool__(self) -> bool:
        """Tell whether there are thresholds."""
        return self._found is not None

    def add(self, items: Sequence[Item], answers: Sequence[Answer], probs_NC: FloatArray) -> list[Answer]:
        """Return the answers with their sets."""
        if isinstance(self._found, conformal.PredictionIntervals):
            expected_N = np.array([answer.label for answer in answers], dtype=np.float64)
            ends = zip(*self._found.intervals(expected_N), strict=True)
            return _with(answers, [[float(low), float(high)] for low, high in ends])
        if self._found is None:
            return list(answers)
        sets_NC = self._found.sets(probs_NC, self._found.draws([item.item_id for item in items]))
        return _with(answers, [self._names(item, set_C) for item, set_C in zip(items, sets_NC, strict=True)])

    def _names(self, item: Item, set_C: np.ndarray[Any, np.dtype[np.bool_]]) -> list[Any]:
        if self._task.kind.asks_each_label:
            return [name for name, has in zip(self._task.label_names, set_C, strict=True) if has]
        num = len(choice_names(self._task, item))
        return [self._task.written_label(int(label), item) for label in np.flatnonzero(set_C[:num])]


def _in_words(threshold: float, max_risk: float) -> str:
    rest = f"of the rest at most {100 * max_risk:g} % are wrong"
    if threshold > 1:
        return f"all: no threshold is known above which at most {100 * max_risk:g} % are wrong"
    return f"a probability below {threshold:.3g} ({rest})"


def _with(answers: Sequence[Answer], sets: Sequence[list[Any]]) -> list[Answer]:
    return [replace(answer, prediction_set=one) for answer, one in zip(answers, sets, strict=True)]


def _threshold(readings: Readings, max_risk: float, where: str) -> float:
    """Return the confidence from which on answers stand alone at a risk; above 1 where none may.

    Raises:
        ModelError: The evaluation has no such thresholds.
    """
    found = abstention.from_document(readings.abstention)
    if found is None:
        raise ModelError(
            "the model's evaluation has no thresholds for a risk: it had no calibration split, or too small a one",
            where=where,
            remedy="Set data.calibration_size in a new campaign, or use --min-confidence.",
        )
    threshold = found.threshold(max_risk)
    return np.inf if threshold is None else threshold
