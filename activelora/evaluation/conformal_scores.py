"""How badly an answer fits an item: the scores that prediction sets are made by.

- LAC (Sadinle et al. 2019): 1 − p(y). The smallest sets on average; those of hard items are small or empty.
- APS (Romano et al. 2020): the probability of all answers that are more probable than y, plus u · p(y).
- RAPS (Angelopoulos et al. 2021): APS plus λ · max(0, rank(y) − k), against long tails.

u is an item's own draw, uniform in [0, 1). Letters: N items, C answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from activelora.evaluation.classification_metrics import FloatArray
from activelora.seeding import item_draw

Method = Literal["lac", "aps", "raps"]


@dataclass(frozen=True)
class Rule:
    """How an answer is scored.

    Attributes:
        method: The score.
        seed: Seed of the items' draws.
        penalty: RAPS's λ.
        free_ranks: RAPS's k: the first k ranks are not penalised.
        has_own_answers: Whether items bring their own answers, so that rows are padded with zeros. An answer of
            probability 0 is then none.
    """

    method: Method = "lac"
    seed: int = 0
    penalty: float = 0.01
    free_ranks: int = 5
    has_own_answers: bool = False

    def draws(self, item_ids: Sequence[str]) -> FloatArray:
        """Return u_N, which depends on the seed and the item alone."""
        return np.array([item_draw(self.seed, item_id) for item_id in item_ids], dtype=np.float64)

    def scores(self, probs_NC: FloatArray, draws_N: FloatArray | None = None) -> FloatArray:
        """Return scores_NC, the score of every answer: the higher, the worse it fits.

        Args:
            probs_NC: Predictive distributions; of LAC also each label's own probability.
            draws_N: u of every item; None is u = 0, with which sets are largest. LAC has no draw.
        """
        if self.method == "lac":
            return 1.0 - probs_NC
        order_NC = np.argsort(-probs_NC, axis=1, kind="stable")
        sorted_NC = np.take_along_axis(probs_NC, order_NC, axis=1)
        u_N1 = 0.0 if draws_N is None else draws_N[:, None]
        ranked_NC = sorted_NC.cumsum(axis=1) - sorted_NC + u_N1 * sorted_NC
        if self.method == "raps":
            ranked_NC = ranked_NC + self.penalty * np.maximum(0, np.arange(1, probs_NC.shape[1] + 1) - self.free_ranks)
        scores_NC = np.empty_like(ranked_NC)
        np.put_along_axis(scores_NC, order_NC, ranked_NC, axis=1)
        return scores_NC
