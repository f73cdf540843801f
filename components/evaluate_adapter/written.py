"""How written answers are measured: the model answers the holdout, and its samples score that and the gold answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from activelora.campaign.campaign import Campaign
from activelora.campaign.records import Item
from activelora.evaluation import text_evaluation
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.tasks.generation import Generation
from activelora.uncertainty.text_measures import answer_nll, confidence

TEXT_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),  # the gold text
        pa.field("predicted", pa.string(), nullable=False),  # the model's own text
        pa.field("final_answer", pa.string()),  # what was compared; null if nothing was found
        pa.field("correct", pa.bool_(), nullable=False),
        pa.field("confidence", pa.float64(), nullable=False),
    ]
)


def measure(
    campaign: Campaign, round_: int, items: list[Item], texts: list[str], settings: EvaluationSettings
) -> tuple[dict[str, Any], pa.Table]:
    """Return the evaluation as a document, and a row for every item.

    Args:
        campaign: A campaign whose task is generation.
        round_: The round.
        items: The holdout.
        texts: Its gold answers.
        settings: How to measure.
    """
    from activelora.scoring.predict import Predictor

    num_samples = campaign.config.evaluation.num_samples
    task = Generation(campaign.config.task)
    with Predictor.load(campaign, round_) as predictor:
        answers = predictor.write_answers(items, "answering the holdout")
        scores, _ = predictor.rescore(items, answers, num_samples)
        gold_scores, _ = predictor.rescore(items, [predictor.encode_text(text) for text in texts], num_samples)
        written = [predictor.decode_text(ids) for ids in answers]
    correct = [task.is_right(answer, gold) for answer, gold in zip(written, texts, strict=True)]
    confidence_N = np.array([confidence(one) for one in scores])
    gold_nll_N = np.array([answer_nll(one, "mean") for one in gold_scores])
    document = text_evaluation.evaluate(np.array(correct, dtype=np.float64), confidence_N, gold_nll_N, settings)
    columns = {
        "item_id": [item.item_id for item in items],
        "label": texts,
        "predicted": written,
        "final_answer": [task.final_answer(answer) for answer in written],
        "correct": correct,
        "confidence": confidence_N,
    }
    return document, pa.table(columns, schema=TEXT_SCHEMA)
