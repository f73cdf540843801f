"""What a model says in one word: its posterior's mean, as evaluation measures it and prediction gives it out.

Letters: N items, K posterior samples, C answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from activelora.campaign.records import Item
from activelora.errors import DIVERGED, ModelError
from activelora.evaluation.classification_metrics import FloatArray
from activelora.uncertainty import label_prior
from activelora.uncertainty.text_measures import TokenScores

if TYPE_CHECKING:
    from activelora.scoring.predict import Predictor


def log_probs(
    predictor: Predictor, items: Sequence[Item], num_samples: int, *, where: str, description: str = "predicting"
) -> FloatArray:
    """Return what the model says of N items, as :meth:`~activelora.scoring.predict.Predictor.log_probs` does.

    Args:
        predictor: The model.
        items: N items.
        num_samples: K; 0 is the prediction without sampling.
        where: Place of the model, for messages.
        description: Text of the progress display.

    Raises:
        ModelError: Some probabilities are not numbers.
    """
    log_probs_NKC = predictor.log_probs(items, num_samples, description)
    if (bad := np.isnan(log_probs_NKC.reshape(len(items), -1)).any(axis=1)).any():
        raise ModelError(
            f"the model's probabilities are not numbers for {int(bad.sum())} of {len(items)} items, "
            f"first {items[int(bad.argmax())].item_id}",
            where=where,
            remedy=DIVERGED,
        )
    return log_probs_NKC


def over_samples(log_probs_NKC: FloatArray, prior_C: FloatArray | None = None) -> FloatArray:
    """Return ln of the mean over the samples, shape (N, C), each sample corrected by a label prior first.

    Args:
        log_probs_NKC: What the samples say; further axes stay.
        prior_C: The label prior to divide by; None leaves it out.
    """
    if prior_C is not None:
        fitted_C = label_prior.fitted(prior_C, log_probs_NKC.shape[-1])
        log_probs_NKC = label_prior.correct(log_probs_NKC, fitted_C)
    total_NC = np.logaddexp.reduce(log_probs_NKC, axis=1)
    return np.asarray(total_NC - np.log(log_probs_NKC.shape[1]), dtype=np.float64)


def written(
    predictor: Predictor, items: Sequence[Item], num_samples: int, description: str = "writing answers"
) -> tuple[list[str], list[TokenScores]]:
    """Return the texts that the model writes, and what its samples say about each, token by token."""
    answers = predictor.write_answers(items, description)
    scores, _ = predictor.rescore(items, answers, num_samples)
    return [predictor.decode_text(ids) for ids in answers], scores
