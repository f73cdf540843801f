"""How uncertain a model is about a text that it wrote: measures of its tokens' distributions.

Letters: N items, K posterior samples, T tokens of an item's answer, V vocabulary. The text is the model's own greedy
answer, which K samples of the posterior score again: p_kt is sample k's distribution of token t after the tokens before
it, y_t the token that is there. Sums over tokens; with the reduction ``mean``, means. In nats, larger is less certain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from activelora.errors import DIVERGED, ModelError
from activelora.uncertainty.measure_facts import DISAGREEMENT, declares

FloatArray = NDArray[np.float64]
Reduction = Literal["sum", "mean"]


@dataclass(frozen=True)
class TokenScores:
    """What K samples say about one text of T >= 1 tokens.

    Attributes:
        log_probs_KT: ln p_kt(y_t).
        entropies_KT: H[p_kt] over the whole vocabulary.
    """

    log_probs_KT: FloatArray
    entropies_KT: FloatArray

    def check(self, name: str) -> None:
        """Refuse NaN.

        Args:
            name: The item, for the message.

        Raises:
            ModelError: A number is NaN.
        """
        if np.isnan(self.log_probs_KT).any() or np.isnan(self.entropies_KT).any():
            raise ModelError(
                f"the model's probabilities are not numbers for {name}",
                remedy=DIVERGED,
            )


TextMeasure = Callable[[TokenScores, Reduction], float]


def token_entropy(scores: TokenScores, reduction: Reduction) -> float:
    """Return mean_k Σ_t H[p_kt] (STAR's ME, arXiv 2403.01165)."""
    return float(_over_tokens(scores.entropies_KT, reduction).mean())


def answer_nll(scores: TokenScores, reduction: Reduction) -> float:
    """Return mean_k Σ_t −ln p_kt(y_t) of the model's own answer; of a gold answer it is ``oracle_nll``."""
    return float(-_over_tokens(scores.log_probs_KT, reduction).mean())


@declares(DISAGREEMENT)
def disagreement(scores: TokenScores, reduction: Reduction) -> float:
    """Return Σ_t [ln p̄_t(y_t) − mean_k ln p_kt(y_t)] ≥ 0, p̄ = mean_k p_k: how far the samples disagree.

    The reverse mutual information of token and weights at the token that was written (Malinin and Gales 2021,
    "Uncertainty Estimation in Autoregressive Structured Prediction"). 0 with one sample.
    """
    gap_T = np.log(mean_probs(scores)) - scores.log_probs_KT.mean(axis=0)
    return float(np.maximum(_over_tokens(gap_T[None], reduction)[0], 0.0))


def confidence(scores: TokenScores) -> float:
    """Return exp(mean_t ln p̄_t(y_t)), the geometric mean of the answer's token probabilities, in [0, 1]."""
    return float(np.exp(np.log(mean_probs(scores)).mean()))


def mean_probs(scores: TokenScores) -> FloatArray:
    """Return p̄_t(y_t), the mean over the samples, floored so that its logarithm is finite; shape (T,)."""
    return np.asarray(np.maximum(np.exp(scores.log_probs_KT).mean(axis=0), np.finfo(np.float64).tiny))


TEXT_MEASURES: dict[str, TextMeasure] = {
    "token_entropy": token_entropy,
    "answer_nll": answer_nll,
    "disagreement": disagreement,
}
ORACLE_NLL = "oracle_nll"
"""The NLL of the gold answer, for replicating published results: it reads labels that nobody has given."""


def score_texts(scores: Sequence[TokenScores], reduction: Reduction) -> dict[str, FloatArray]:
    """Return scores_N of every measure."""
    return {name: np.array([measure(one, reduction) for one in scores]) for name, measure in TEXT_MEASURES.items()}


def _over_tokens(values_KT: FloatArray, reduction: Reduction) -> FloatArray:
    return np.asarray(values_KT.sum(axis=1) if reduction == "sum" else values_KT.mean(axis=1), dtype=np.float64)
