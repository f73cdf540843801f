"""Two-stage scoring: one pass without sampling for all items, and K samples only where they can change the selection.

The second stage takes the items of the highest predictive entropy in the first. What that loses is measured in every
run: some of the items that were left out are drawn at random and get their samples, too.

Letters: N items, K samples, C answers, D features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from activelora.campaign.records import Item
from activelora.seeding import item_draw
from activelora.uncertainty.measures import MEASURES, NUMBER_MEASURES, mean_over_labels

if TYPE_CHECKING:
    from activelora.scoring.predict import Predictor

FloatArray = NDArray[np.float64]
FIRST_MEASURE = "predictive_entropy"
AUDIT_SHARE = 0.05
MIN_AUDIT, MAX_AUDIT = 20, 500


@dataclass(frozen=True)
class Plan:
    """What two-stage scoring is to do.

    Attributes:
        share: Share of the candidates that the second stage samples, in (0, 1].
        batch: Items that will be selected: at least as many are sampled, and recall is that of as many.
        measures: Measures whose top the recall is of.
        seed: Seed of the draw that audits.
        adjust: Corrects log-probabilities (N, K, C), for example for the label prior.
        values_C: The numbers that a regression's answers stand for; None for other tasks.
    """

    share: float
    batch: int
    measures: Collection[str]
    seed: int
    adjust: Callable[[FloatArray], FloatArray]
    values_C: FloatArray | None = None


@dataclass(frozen=True)
class Staged:
    """What two-stage scoring found.

    Attributes:
        log_probs_NKC: Log-probabilities of all items; one that was not sampled has K times those without sampling.
        embeddings_ND: Embeddings of the pass without sampling; None unless wanted.
        metrics: ``two_stage_sampled`` and ``two_stage_audited``, numbers of items; ``two_stage_recall``, estimated.
    """

    log_probs_NKC: FloatArray
    embeddings_ND: NDArray[np.float32] | None
    metrics: dict[str, float]


def predict(
    predictor: Predictor,
    items: Sequence[Item],
    candidates: Sequence[int],
    num_samples: int,
    plan: Plan,
    with_embeddings: bool = False,
) -> Staged:
    """Score items in two stages.

    Args:
        predictor: The round's model.
        items: N items.
        candidates: Indices of those that can be selected; the others are never sampled.
        num_samples: K.
        plan: How.
        with_embeddings: Whether embeddings are wanted.
    """
    embeddings_ND = None
    description = "scoring the pool, first stage"
    if with_embeddings:
        first_N1C, embeddings_ND = predictor.log_probs_and_embeddings(items, 0, description)
    else:
        first_N1C = predictor.log_probs(items, 0, description)
    first_N1C = plan.adjust(first_N1C)
    chosen, audited = split(items, candidates, score(FIRST_MEASURE, first_N1C), plan)
    sampled = [*chosen, *audited]
    run = sampled or [0]  # where nothing can be selected, too, the number of samples is that of other shards
    description = "scoring the pool, second stage"
    log_probs_SKC = plan.adjust(predictor.log_probs([items[i] for i in run], num_samples, description))
    log_probs_NKC = np.repeat(first_N1C, log_probs_SKC.shape[1], axis=1)
    # The sampled items may all have fewer answers than others; what is beyond those is −inf already.
    log_probs_NKC[:, :, : log_probs_SKC.shape[2]][run] = log_probs_SKC
    recall = min(
        estimate_recall(
            score(name, log_probs_SKC[: len(chosen)], plan.values_C),
            score(name, log_probs_SKC[len(chosen) : len(sampled)], plan.values_C),
            len(candidates) - len(chosen),
            plan.batch,
        )
        for name in plan.measures
    )
    counts = {"two_stage_sampled": float(len(chosen)), "two_stage_audited": float(len(audited))}
    return Staged(log_probs_NKC, embeddings_ND, counts | {"two_stage_recall": recall})


def split(
    items: Sequence[Item], candidates: Sequence[int], scores_N: FloatArray, plan: Plan
) -> tuple[list[int], list[int]]:
    """Return the indices to sample and those to audit; neither depends on the items' order."""
    ranked = sorted(candidates, key=lambda index: (-scores_N[index], item_draw(plan.seed, items[index].item_id)))
    num_chosen = min(len(ranked), max(plan.batch, math.ceil(plan.share * len(ranked))))
    left = sorted(ranked[num_chosen:], key=lambda index: item_draw(plan.seed, items[index].item_id))
    num_audited = min(max(MIN_AUDIT, round(AUDIT_SHARE * len(left))), MAX_AUDIT)
    return sorted(ranked[:num_chosen]), sorted(left[:num_audited])


def estimate_recall(chosen_S: FloatArray, audited_A: FloatArray, num_left: int, batch: int) -> float:
    """Return the estimated share of the true top of the scores that was sampled.

    An audited item stands for ``num_left / A`` items that were left out; the estimate is the weighted top's.

    Args:
        chosen_S: Scores of the items that were sampled.
        audited_A: Scores of A items drawn from those that were left out.
        num_left: How many were left out.
        batch: Size of the top.
    """
    if len(audited_A) == 0:
        return 1.0
    scores = np.concatenate([chosen_S, audited_A])
    weights = np.concatenate([np.ones(len(chosen_S)), np.full(len(audited_A), num_left / len(audited_A))])
    order = np.argsort(-scores, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    inside = np.clip(batch - before, 0.0, weights[order])
    found = inside[order < len(chosen_S)].sum()
    return float(found / inside.sum())


def score(name: str, log_probs_NKC: FloatArray, values_C: FloatArray | None = None) -> FloatArray:
    """Return a measure of items, as score_pool has it; of label sets (N, K, C, 2) the mean over labels."""
    if values_C is not None and name in NUMBER_MEASURES:
        return NUMBER_MEASURES[name](log_probs_NKC, values_C)
    measure = MEASURES[name]
    return mean_over_labels(measure, log_probs_NKC) if log_probs_NKC.ndim == 4 else measure(log_probs_NKC)
