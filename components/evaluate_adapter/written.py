"""How written answers are measured: the model answers the holdout, and its samples score that and the gold answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from activelora.campaign.campaign import Campaign
from activelora.campaign.records import Item
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.moved import find_names
from activelora.registry import wrong_result
from activelora.scoring import averaged
from activelora.tasks.task import Task


def measure(
    campaign: Campaign, round_: int, task: Task, items: list[Item], texts: list[str], settings: EvaluationSettings
) -> tuple[dict[str, Any], pa.Table]:
    """Return the evaluation as a document, and a row for every item.

    Args:
        campaign: A campaign whose model writes its answers.
        round_: The round.
        task: Its task.
        items: The holdout.
        texts: Its gold answers.
        settings: How to measure.
    """
    from activelora.scoring.predict import Predictor

    num_samples = campaign.config.evaluation.num_samples
    with Predictor.load(campaign, round_) as predictor:
        written, scores = averaged.written(predictor, items, num_samples, "answering the holdout")
        gold_scores, _ = predictor.rescore(items, [predictor.encode_text(text) for text in texts], num_samples)
    found = task.kind.written_judge_of(task).evaluate(items, texts, written, scores, gold_scores, settings)
    if len(found) != 2 or not isinstance(found[0], dict) or not isinstance(found[1], pa.Table):
        raise wrong_result(task.kind, "evaluate", found, " that is no document and table")
    return found


if not TYPE_CHECKING:  # a checker of types knows the new names only
    __getattr__ = find_names(__name__)
