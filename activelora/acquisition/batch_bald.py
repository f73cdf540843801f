"""BatchBALD: the batch whose labels together tell most about the weights (Kirsch et al. 2019, arXiv 1906.08158).

score of the n-th pick = I(y_1…y_n; w) − I(y_1…y_{n−1}; w) = E_{y_1…y_{n−1}} H[y_n | y_1…y_{n−1}] − mean_k H[p_k], in
nats: the greedy step of the paper's algorithm 1, by the chain rule. Given the earlier answers the K samples are
weighted by how well they predicted them, w_mk ∝ Π_i p_k(y_i), so that H[y_n | …] is the entropy of Σ_k w_mk p_k(y_n).
Joint answers (configurations, m) are enumerated while they are few. Beyond that, equally many are drawn by each sample,
with stratified uniform numbers: every candidate meets the same draws, which makes their comparison steady.

Memory is bounded by blocks of configurations. Scores never rise along a batch: information is submodular.
Letters: N candidates, K samples, C answers, M configurations, B configurations of a block.
"""

from __future__ import annotations

import numpy as np

from activelora.acquisition.kept import by_id, samples
from activelora.acquisition.strategy import SAMPLES, FloatArray, Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import hesitation, measure, top
from activelora.seeding import derive_seed

BLOCK_NUMBERS = 2_000_000
"""Float64 numbers in a block's temporary arrays: 16 MB each."""
DECIMALS = 9
"""Scores are rounded to a nanonat, so that equal items are equal whatever the order of a sum."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the batch, greedily; equal gains go by item id."""
    bald_N = measure(pool, "bald")
    if len(bald_N) > 1 and np.ptp(bald_N) == 0:
        return top(pool, bald_N, num, str, seed=context.seed)
    order = by_id(pool)
    ranking = order[np.argsort(-bald_N[order], kind="stable")]
    candidates = np.sort(np.argsort(order)[ranking[: max(num, context.config.candidates)]])
    indices = order[candidates]
    picks: list[Pick] = []
    if not len(indices):
        return picks
    chosen = greedy(np.exp(samples(pool)[indices]), num, context.config.configurations, context.seed)
    for position, (row, gain) in enumerate(chosen, 1):
        index = int(indices[row])
        reason = f"adds {gain:.3f} nats to what the batch tells about the weights, pick {position}"
        picks.append(Pick(index, gain, f"{reason}{hesitation(pool, index)}"))
    return picks


def greedy(probs_NKC: FloatArray, num: int, num_configurations: int, seed: int) -> list[tuple[int, float]]:
    """Return up to ``num`` rows with the information that each adds to those before, in nats.

    Args:
        probs_NKC: The samples' probabilities.
        num: How many to pick.
        num_configurations: Joint answers that are enumerated at most; beyond that, how many are drawn.
        seed: For the draws; the n-th pick's draw depends on the seed and n alone.
    """
    joint = _Joint(probs_NKC.shape[1], num_configurations, seed)
    expected_N = _entropy(probs_NKC).mean(axis=1)
    free_N = np.ones(len(probs_NKC), dtype=np.bool_)
    chosen: list[tuple[int, float]] = []
    for _ in range(min(num, len(probs_NKC))):
        gains_N = np.round(np.maximum(joint.conditional_entropy(probs_NKC) - expected_N, 0.0), DECIMALS)
        row = int(np.where(free_N, gains_N, -1.0).argmax())
        chosen.append((row, float(gains_N[row])))
        free_N[row] = False
        joint.add(probs_NKC[row])
    return chosen


class _Joint:
    """The joint answers of the items picked so far, enumerated or drawn.

    Args:
        num_samples: K.
        limit: Configurations that are enumerated at most, and drawn beyond that.
        seed: For the draws.
    """

    def __init__(self, num_samples: int, limit: int, seed: int) -> None:
        self._limit = limit
        self._seed = seed
        self._picked: list[FloatArray] = []
        self._is_exact = True
        self._log_joint_MK = np.zeros((1, num_samples))
        self._shares_M = np.ones(1)

    def conditional_entropy(self, probs_NKC: FloatArray) -> FloatArray:
        """Return E H[y | configuration] of every candidate's answer y, in nats."""
        num_items, num_samples, num_answers = probs_NKC.shape
        flat_KX = np.ascontiguousarray(probs_NKC.transpose(1, 0, 2)).reshape(num_samples, -1)
        weights_MK = _softmax(self._log_joint_MK)
        total_N = np.zeros(num_items)
        block = max(1, BLOCK_NUMBERS // flat_KX.shape[1])
        for begin in range(0, len(weights_MK), block):
            mixed_BNC = (weights_MK[begin : begin + block] @ flat_KX).reshape(-1, num_items, num_answers)
            total_N += self._shares_M[begin : begin + block] @ _entropy(mixed_BNC)
        return total_N

    def add(self, probs_KC: FloatArray) -> None:
        """Take an item into the batch."""
        self._picked.append(probs_KC)
        if self._is_exact and len(self._log_joint_MK) * np.count_nonzero(probs_KC.max(axis=0)) > self._limit:
            self._is_exact = False
            size = -(-self._limit // len(probs_KC)) * len(probs_KC)
            self._log_joint_MK = np.zeros((size, len(probs_KC)))
            self._shares_M = np.full(size, 1.0 / size)
            for position, earlier_KC in enumerate(self._picked[:-1]):
                self._draw(earlier_KC, position)
        if self._is_exact:
            self._enumerate(probs_KC)
        else:
            self._draw(probs_KC, len(self._picked) - 1)

    def _enumerate(self, probs_KC: FloatArray) -> None:
        joint_MCK = self._log_joint_MK[:, None, :] + _log(probs_KC).T[None]
        joint_MK = joint_MCK.reshape(-1, len(probs_KC))
        shares_M = np.exp(joint_MK).mean(axis=1)
        self._log_joint_MK, self._shares_M = joint_MK[shares_M > 0], shares_M[shares_M > 0]

    def _draw(self, probs_KC: FloatArray, position: int) -> None:
        """Draw the item's answer in every configuration: the first M/K are drawn from sample 0, and so on."""
        num_samples = len(probs_KC)
        each = len(self._log_joint_MK) // num_samples
        rng = np.random.default_rng(derive_seed(self._seed, "batch_bald", position))
        log_probs_KC = _log(probs_KC)
        for sample in range(num_samples):
            uniform_B = (rng.permutation(each) + rng.random(each)) / each
            edges_C = probs_KC[sample].cumsum()
            answers_B = np.searchsorted(edges_C, uniform_B * edges_C[-1], side="right")
            last = int(np.flatnonzero(probs_KC[sample])[-1])
            rows = slice(sample * each, (sample + 1) * each)
            self._log_joint_MK[rows] += log_probs_KC[:, np.minimum(answers_B, last)].T


def _softmax(log_joint_MK: FloatArray) -> FloatArray:
    weights_MK = np.exp(log_joint_MK - log_joint_MK.max(axis=1, keepdims=True))
    return np.asarray(weights_MK / weights_MK.sum(axis=1, keepdims=True), dtype=np.float64)


def _log(probs: FloatArray) -> FloatArray:
    return np.log(probs, out=np.full_like(probs, -np.inf), where=probs > 0)


def _entropy(probs: FloatArray) -> FloatArray:
    """Return −Σ p ln p over the last axis, with 0 ln 0 = 0."""
    logs = np.log(np.maximum(probs, np.finfo(np.float64).tiny))
    logs *= probs
    return -np.asarray(logs.sum(axis=-1), dtype=np.float64)


STRATEGY = Strategy(
    "batch_bald",
    "I(y₁…y_b; w): the batch whose labels together tell most about the weights",
    select,
    options=("candidates", "configurations"),
    needs=frozenset({SAMPLES}),
    needs_answers=True,
    measures=("bald",),
)
