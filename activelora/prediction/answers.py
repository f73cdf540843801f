"""What a model answers to a row, as people and programs read it.

Letters: N items, C answers or labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from activelora.campaign.records import Item
from activelora.evaluation import temperature
from activelora.evaluation.classification_metrics import FloatArray, predicted_labels
from activelora.evaluation.regression_metrics import central_interval, expected_values, predictive_variance
from activelora.tasks.task import Task
from activelora.uncertainty.text_measures import TokenScores, confidence

AnswerLabel = str | int | float | list[str]
"""A label as people write it: a name, a text, a number (of a choice: its place, from 0), or several names."""


@dataclass(frozen=True)
class Answer:
    """What a model answers to one row.

    Attributes:
        label: The answer; None where the row cannot be answered.
        probability: Probability of being right, after the temperature; of a set, that of all its decisions at once; of
            a written text, the geometric mean of its tokens' probabilities. None of numbers.
        uncertainty: 0 is certain, 1 is as undecided as can be: the entropy as a share of the largest; of a set, the
            mean over its decisions; of a number, the standard deviation as a share of the largest; of a written text,
            1 − probability.
        prediction_set: The labels that the truth is among at the coverage that was set; of numbers, both ends. None
            where the evaluation has no thresholds.
        review: Whether a person should look at it.
        low: Lower end of the central interval, of numbers.
        high: Its upper end.
        probabilities: Probability of each label, where wanted; of sets, of each label being in it.
        problem: Why the row cannot be answered.
    """

    label: AnswerLabel | None
    probability: float | None = None
    uncertainty: float | None = None
    prediction_set: list[Any] | None = None
    review: bool = False
    low: float | None = None
    high: float | None = None
    probabilities: dict[str, float] | None = None
    problem: str | None = None

    def row(self) -> dict[str, Any]:
        """Return the columns of a table; which of them a model has, :func:`answer_columns` says."""
        return {
            "prediction": self.label,
            "probability": self.probability,
            "uncertainty": self.uncertainty,
            "low": self.low,
            "high": self.high,
            "prediction_set": self.prediction_set,
            "review": self.review,
            "probabilities": self.probabilities,
        }


@dataclass(frozen=True)
class Shown:
    """What is looked at to answer.

    Attributes:
        temperature: What probabilities are scaled by; 1 leaves them.
        level: Probability of the central interval of numbers, in (0, 1).
        probabilities: Whether each label's probability is wanted.
    """

    temperature: float
    level: float
    probabilities: bool


def answer_columns(task: Task, *, prediction_sets: bool, probabilities: bool) -> tuple[str, ...]:
    """Return the columns of :meth:`Answer.row` that a model fills.

    Args:
        task: Its task.
        prediction_sets: Whether its evaluation has thresholds for prediction sets.
        probabilities: Whether each label's probability is wanted.
    """
    is_number = task.values is not None
    wanted = {
        "prediction": True,
        "probability": not is_number,
        "uncertainty": True,
        "low": is_number,
        "high": is_number,
        "prediction_set": prediction_sets,
        "review": True,
        "probabilities": probabilities and not task.kind.writes,
    }
    return tuple(name for name, is_wanted in wanted.items() if is_wanted)


def scaled(task: Task, log_probs_NC: FloatArray, fitted: float) -> FloatArray:
    """Return the probabilities at a temperature: of N items' answers, or of yes to each of C labels.

    Args:
        task: The task.
        log_probs_NC: What the model says; (N, C, 2), no and yes, where it is asked about each label.
        fitted: The temperature.
    """
    if not task.kind.asks_each_label:
        return temperature.scale(log_probs_NC, fitted)
    yes_M = temperature.scale(log_probs_NC.reshape(-1, 2), fitted)[:, 1]
    return np.asarray(yes_M.reshape(log_probs_NC.shape[:2]), dtype=np.float64)


def answers_of(task: Task, items: Sequence[Item], probs_NC: FloatArray, shown: Shown) -> list[Answer]:
    """Return the answers to N items, by what :func:`scaled` returns."""
    if task.kind.asks_each_label:
        return [_set(task, probs_C, shown) for probs_C in probs_NC]
    if task.values is not None:
        return _numbers(task, np.array(task.values), probs_NC, shown)
    best_N = predicted_labels(probs_NC).tolist()
    return [
        _choice(task, item, best, probs_C, shown) for item, best, probs_C in zip(items, best_N, probs_NC, strict=True)
    ]


def written_answers(texts: Sequence[str], scores: Sequence[TokenScores]) -> list[Answer]:
    """Return the answers that a model has written."""
    sure = [confidence(one) for one in scores]
    return [Answer(text, one, 1.0 - one) for text, one in zip(texts, sure, strict=True)]


def choice_names(task: Task, item: Item) -> list[str]:
    """Return what an item's answers are called where each has a probability of its own: labels, or the choices."""
    return list(task.label_names or item.choices or task.queries(item)[0].answers)


def _choice(task: Task, item: Item, best: int, probs_C: FloatArray, shown: Shown) -> Answer:
    names = choice_names(task, item)
    probs_C = probs_C[: len(names)]
    label = task.written_label(best, item)
    by_name = dict(zip(names, probs_C.tolist(), strict=True)) if shown.probabilities else None
    return Answer(label, float(probs_C[best]), _share_of_entropy(probs_C), probabilities=by_name)


def _set(task: Task, yes_C: FloatArray, shown: Shown) -> Answer:
    names = task.label_names
    label = [name for name, yes in zip(names, yes_C, strict=True) if yes > 0.5]
    probability = float(np.maximum(yes_C, 1.0 - yes_C).prod())
    uncertainty = float(np.mean([_share_of_entropy(np.array([1.0 - yes, yes])) for yes in yes_C]))
    by_name = dict(zip(names, yes_C.tolist(), strict=True)) if shown.probabilities else None
    return Answer(label, probability, uncertainty, probabilities=by_name)


def _numbers(task: Task, values_C: FloatArray, probs_NC: FloatArray, shown: Shown) -> list[Answer]:
    expected_N = expected_values(probs_NC, values_C)
    low_N, high_N = central_interval(probs_NC, values_C, shown.level)
    largest = (values_C[-1] - values_C[0]) / 2.0  # half of the probability at each end
    share_N = np.sqrt(predictive_variance(probs_NC, values_C)) / largest
    return [
        Answer(
            float(expected_N[index]),
            uncertainty=float(min(share_N[index], 1.0)),
            low=float(low_N[index]),
            high=float(high_N[index]),
            probabilities=dict(zip(task.label_names, probs_NC[index].tolist(), strict=True))
            if shown.probabilities
            else None,
        )
        for index in range(len(probs_NC))
    ]


def _share_of_entropy(probs_C: FloatArray) -> float:
    if len(probs_C) < 2:
        return 0.0
    positive = probs_C[probs_C > 0]
    entropy = float(-(positive * np.log(positive)).sum())
    return min(max(entropy / float(np.log(len(probs_C))), 0.0), 1.0)
