"""How written answers are measured.

Letters: N items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from activelora.campaign.records import Item
from activelora.evaluation import text_evaluation
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.kinds.generation.task import Generation
from activelora.uncertainty.text_measures import TokenScores, answer_nll, confidence

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


class TextJudge:
    """A text that the model writes.

    Args:
        task: The task.
    """

    def __init__(self, task: Generation) -> None:
        self._task = task

    def means_the_same(self, left: str, right: str) -> bool:
        """Compare final answers as the gold one's is compared; whole texts, where no final answer is found."""
        return self._task.means_the_same(left, right)

    def evaluate(
        self,
        items: Sequence[Item],
        gold: Sequence[str],
        written: Sequence[str],
        scores: Sequence[TokenScores],
        gold_scores: Sequence[TokenScores],
        settings: EvaluationSettings,
    ) -> tuple[dict[str, Any], pa.Table]:
        """Measure final answers, the confidence in them and the NLL of the gold answers."""
        correct = [self._task.is_right(answer, wanted) for answer, wanted in zip(written, gold, strict=True)]
        confidence_N = np.array([confidence(one) for one in scores])
        gold_nll_N = np.array([answer_nll(one, "mean") for one in gold_scores])
        document = text_evaluation.evaluate(np.array(correct, dtype=np.float64), confidence_N, gold_nll_N, settings)
        columns = {
            "item_id": [item.item_id for item in items],
            "label": list(gold),
            "predicted": list(written),
            "final_answer": [self._task.final_answer(answer) for answer in written],
            "correct": correct,
            "confidence": confidence_N,
        }
        return document, pa.table(columns, schema=TEXT_SCHEMA)
