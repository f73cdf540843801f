"""BatchBALD: the batch whose labels together tell most about the weights (Kirsch et al. 2019, arXiv 1906.08158).

score of the n-th pick = I(y_1…y_n; w) − I(y_1…y_{n−1}; w) = E_{y_1…y_{n−1}} H[y_n | y_1…y_{n−1}] − mean_k H[p_k], in
nats: the greedy step of the paper's algorithm 1, by the chain rule. Given the earlier answers the K samples are
weighted by how well they predicted them, w_mk ∝ Π_i p_k(y_i), so that H[y_n | …] is the entropy of Σ_k w_mk p_k(y_n).
Joint answers (configurations, m) are enumerated while they are few. Beyond that, equally many are drawn by each sample,
with stratified uniform numbers: every candidate meets the same draws, which makes their comparison steady.

Scores never rise along a batch: information is submodular. So an item's last score is an upper bound of its next one,
and only items whose bound reaches the best new score are scored again (lazy greedy, Minoux 1978): the same picks as
from scoring all. Where configurations are drawn, this holds up to the draws' noise, and bounds are raised by
:data:`STANDARD_ERRORS` of it. Memory is bounded by blocks of configurations and of candidates.
Letters: N candidates, K samples, C answers, M configurations, B configurations of a block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.kept import by_id, require_memory, samples
from activelora.acquisition.strategy import (
    SAMPLES,
    Float32Array,
    FloatArray,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)
from activelora.acquisition.top import hesitation, measure, top
from activelora.seeding import derive_seed

BLOCK_NUMBERS = 200_000
"""Float64 numbers in a block's temporary arrays: 1.6 MB each, which a core's cache holds."""
GROUP_LEAST, GROUP_MOST = 16, 256
"""Candidates that are scored at once: the first of a pick, and at most."""
ROUNDING = 2e-5
"""Nats by which an entropy in float32 can be off, for up to millions of answers; float64 decides among the nearest."""
SMALLEST = {4: 1e-35, 8: 1e-290}
"""Probability in place of 0, by the bytes of a number."""
STANDARD_ERRORS = 4.0
"""Of the mean over drawn configurations, by which a bound is raised there."""
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
    log_probs_NKC = samples(pool)
    gigabytes = 3 * 8e-9 * len(indices) * log_probs_NKC[:1].size
    require_memory(context, f"`batch_bald` with {len(indices)} candidates", gigabytes)
    chosen = greedy(np.exp(log_probs_NKC[indices]), num, context.config.configurations, context.seed)
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
    gains = _Gains(probs_NKC, joint)
    chosen: list[tuple[int, float]] = []
    for _ in range(min(num, len(probs_NKC))):
        row, gain = gains.take()
        chosen.append((row, gain))
        joint.add(probs_NKC[row])
    return chosen


class _Gains:
    """What each candidate adds to the batch so far, kept only as exactly as the next pick needs it.

    Args:
        probs_NKC: The candidates.
        joint: The batch so far.

    Attributes:
        num_screened: How often a candidate was compared with the batch.
    """

    def __init__(self, probs_NKC: FloatArray, joint: _Joint) -> None:
        self._probs_NKC = probs_NKC
        self._joint = joint
        self._expected_N = np.empty(len(probs_NKC))
        for begin in range(0, len(probs_NKC), GROUP_MOST):
            block = slice(begin, begin + GROUP_MOST)
            self._expected_N[block] = _entropy(probs_NKC[block]).mean(axis=1)
        self._bounds_N = np.full(len(probs_NKC), np.inf)
        self._free_N = np.ones(len(probs_NKC), dtype=np.bool_)
        self.num_screened = 0

    def take(self) -> tuple[int, float]:
        """Take the free candidate that adds most, the first of equals; return its row and what it adds."""
        is_screened_N, is_scored_N = np.zeros((2, len(self._bounds_N)), dtype=np.bool_)
        slack, size = 0.0, GROUP_LEAST
        while True:
            best = float(self._bounds_N[is_scored_N].max(initial=-1.0))
            is_open_N = self._free_N & ~is_scored_N
            if len(rows := np.flatnonzero(is_open_N & ~is_screened_N & (self._bounds_N >= best - slack))):
                rows = self._highest(rows, size)
                slack = max(slack, self._screen(rows))
                is_screened_N[rows], size = True, min(2 * size, GROUP_MOST)
            rows = np.flatnonzero(is_open_N & is_screened_N & (self._bounds_N >= best))
            if len(rows):
                rows = self._highest(rows, GROUP_LEAST)
                self._score(rows)
                is_scored_N[rows] = True
            elif not (is_open_N & ~is_screened_N & (self._bounds_N >= best - slack)).any():
                break
        row = int(np.where(is_scored_N, self._bounds_N, -1.0).argmax())
        self._free_N[row] = False
        return row, float(self._bounds_N[row])

    def _highest(self, rows: NDArray[np.int64], num: int) -> NDArray[np.int64]:
        return np.sort(rows[np.argsort(-self._bounds_N[rows], kind="stable")[:num]])

    def _screen(self, rows: NDArray[np.int64]) -> float:
        """Bound candidates anew, in float32; return how far the bounds of others may be too low."""
        mean_B, error_B = self._joint.entropy_with_error(self._probs_NKC[rows].astype(np.float32))
        self._bounds_N[rows] = np.maximum(mean_B - self._expected_N[rows], 0.0) + ROUNDING
        self.num_screened += len(rows)
        return STANDARD_ERRORS * float(error_B.max()) + ROUNDING

    def _score(self, rows: NDArray[np.int64]) -> None:
        mean_B = self._joint.conditional_entropy(self._probs_NKC[rows])
        self._bounds_N[rows] = np.round(np.maximum(mean_B - self._expected_N[rows], 0.0), DECIMALS)


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
        return self.entropy_with_error(probs_NKC)[0]

    def entropy_with_error(self, probs_NKC: FloatArray | Float32Array) -> tuple[FloatArray, FloatArray]:
        """Return E H[y | configuration], and its standard error: 0 while configurations are enumerated.

        The entropies are computed in the numbers that the probabilities come in, float32 or float64.
        """
        num_items, num_samples, num_answers = probs_NKC.shape
        flat_KX = np.ascontiguousarray(probs_NKC.transpose(1, 0, 2)).reshape(num_samples, -1)
        weights_MK = _softmax(self._log_joint_MK).astype(probs_NKC.dtype)
        shape = (num_items, num_answers)
        if self._is_exact:
            entropy_MN = _mixed_entropy(weights_MK, flat_KX, shape, self._shares_M)
            return entropy_MN[0], np.zeros(num_items)
        mean_N, variance_N = np.zeros(num_items), np.zeros(num_items)
        # Equally many configurations come from every sample: what differs between samples is no error.
        for weights_BK in np.split(weights_MK, num_samples):
            first_N, second_N = _mixed_entropy(
                weights_BK, flat_KX, shape, np.full(len(weights_BK), 1 / len(weights_BK))
            )
            mean_N += first_N / num_samples
            variance_N += np.maximum(second_N - first_N**2, 0.0) / num_samples
        return mean_N, np.sqrt(variance_N / len(weights_MK))

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


def _mixed_entropy(
    weights_MK: Any, flat_KX: Any, shape: tuple[int, int], shares_M: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the mean over configurations of the entropy of every item's mixed distribution, and that of its square.

    Args:
        weights_MK: Of the samples in each configuration.
        flat_KX: The samples' distributions, X = N × C.
        shape: N and C.
        shares_M: Weights of the mean.
    """
    mean_N, square_N = np.zeros(shape[0]), np.zeros(shape[0])
    # A smallest probability in place of 0, so that 0 ln 0 = 0: it adds less than any rounding.
    flat_KX = np.maximum(flat_KX, SMALLEST[flat_KX.dtype.itemsize])
    size = max(1, BLOCK_NUMBERS // flat_KX.shape[1])
    mixed_BX = np.empty((min(size, len(weights_MK)), flat_KX.shape[1]), dtype=flat_KX.dtype)
    logs_BX = np.empty_like(mixed_BX)
    for begin in range(0, len(weights_MK), size):
        block = slice(begin, begin + size)
        num = len(weights_MK[block])
        np.matmul(weights_MK[block], flat_KX, out=mixed_BX[:num])
        np.log(mixed_BX[:num], out=logs_BX[:num])
        mixed_BNC, logs_BNC = (array[:num].reshape(num, *shape) for array in (mixed_BX, logs_BX))
        entropy_BN = -np.einsum("bnc,bnc->bn", mixed_BNC, logs_BNC).astype(np.float64)
        mean_N += shares_M[block] @ entropy_BN
        square_N += shares_M[block] @ entropy_BN**2
    return mean_N, square_N


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
