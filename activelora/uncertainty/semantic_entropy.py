"""How uncertain a model is about what its answer means: entropy over meanings instead of wordings.

Kuhn et al. 2023, "Semantic Uncertainty" (arXiv 2302.09664); Farquhar et al. 2024, "Detecting hallucinations in large
language models using semantic entropy". The model writes K answers to an item, each drawn from a sample of the
posterior; answers of the same meaning form a cluster.
Letters: K answers. In nats, larger is less certain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from activelora.errors import DIVERGED, ModelError
from activelora.uncertainty.measure_facts import MeasureFacts, declares

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_DRAWN = MeasureFacts(draws_answers=True)


@dataclass(frozen=True)
class Meanings:
    """K >= 1 answers to one item.

    Attributes:
        clusters_K: The number of each answer's meaning.
        answers: What each answer is, word for word: equal ones are the same answer, drawn again.
        log_probs_K: ln p of each answer under the sample that wrote it; by token, where that is the reduction.
    """

    clusters_K: IntArray
    answers: Sequence[Hashable]
    log_probs_K: FloatArray


MeaningMeasure = Callable[[Meanings], float]


@declares(_DRAWN)
def semantic_entropy(meanings: Meanings) -> float:
    """Return −Σ_c (n_c/K) ln(n_c/K), n_c of K drawn answers having meaning c, in [0, ln K].

    The discrete estimator (Farquhar et al. 2024): answers are counted, however probable each is.
    """
    _, counts = np.unique(meanings.clusters_K, return_counts=True)
    return _entropy(np.log(counts / len(meanings.clusters_K)))


@declares(_DRAWN)
def likelihood_semantic_entropy(meanings: Meanings) -> float:
    """Return −Σ_c P_c ln P_c, P_c the share of meaning c in the probability of the different answers, in [0, ln K].

    The Rao-Blackwellised estimator (Farquhar et al. 2024): P_c ∝ Σ_{s in c} p(s). An answer that was drawn several
    times counts once, for its probability says already how often it comes; under several samples of the posterior,
    with the mean of what they say. With `task.reduction: mean` p(s) is the geometric mean over its tokens.
    """
    drawn: dict[Hashable, list[int]] = {}
    for index, answer in enumerate(meanings.answers):
        drawn.setdefault(answer, []).append(index)
    mass: dict[int, float] = {}
    for indices in drawn.values():
        log_prob = float(np.logaddexp.reduce(meanings.log_probs_K[indices])) - np.log(len(indices))
        cluster = int(meanings.clusters_K[indices[0]])
        mass[cluster] = float(np.logaddexp(mass.get(cluster, -np.inf), log_prob))
    log_mass_C = np.array([*mass.values()])
    return _entropy(log_mass_C - np.logaddexp.reduce(log_mass_C))


MEANING_MEASURES: dict[str, MeaningMeasure] = {
    "semantic_entropy": semantic_entropy,
    "likelihood_semantic_entropy": likelihood_semantic_entropy,
}
"""Measures of written answers for which K answers are drawn; they are computed only where a strategy reads them."""


def clusters(num_answers: int, same: Collection[tuple[int, int]]) -> IntArray:
    """Return each answer's cluster, numbered by first place: what is linked through others has the same meaning.

    Whether two answers mean the same is not always transitive ("5;" is "5" and "5" is "5.0"). Linked answers are
    joined, so that the clusters do not depend on the order of the answers, as those of comparing with the first of
    every cluster do.

    Args:
        num_answers: K.
        same: Pairs of places whose answers mean the same, in either order.
    """
    parents = list(range(num_answers))

    def root(index: int) -> int:
        while parents[index] != index:
            index = parents[index]
        return index

    for left, right in same:
        first, second = sorted((root(left), root(right)))
        parents[second] = first
    roots = [root(index) for index in range(num_answers)]
    numbers = {one: number for number, one in enumerate(dict.fromkeys(roots))}
    return np.array([numbers[one] for one in roots], dtype=np.int64)


def score_meanings(meanings: Sequence[Meanings], item_ids: Sequence[str]) -> dict[str, FloatArray]:
    """Return scores_N of every measure.

    Args:
        meanings: Answers of N items.
        item_ids: Their ids, for the message.

    Raises:
        ModelError: A probability is NaN.
    """
    for one, item_id in zip(meanings, item_ids, strict=True):
        if np.isnan(one.log_probs_K).any():
            raise ModelError(f"the model's probabilities are not numbers for item {item_id}", remedy=DIVERGED)
    return {name: np.array([measure(one) for one in meanings]) for name, measure in MEANING_MEASURES.items()}


def _entropy(log_probs_C: FloatArray) -> float:
    """Return −Σ p ln p, with 0 ln 0 = 0."""
    finite_C = log_probs_C[np.isfinite(log_probs_C)]
    return max(0.0, float(-(np.exp(finite_C) * finite_C).sum()))
