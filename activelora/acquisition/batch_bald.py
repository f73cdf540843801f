"""BatchBALD: the batch whose labels together tell most about the weights (Kirsch et al. 2019, arXiv 1906.08158).

score of the n-th pick = I(y_1…y_n; w) − I(y_1…y_{n−1}; w) = E_{y_1…y_{n−1}} H[y_n | y_1…y_{n−1}] − mean_k H[p_k], in
nats: the greedy step of the paper's algorithm 1, by the chain rule. Given the earlier answers the K samples are
weighted by how well they predicted them, w_mk ∝ Π_i p_k(y_i), so that H[y_n | …] is the entropy of Σ_k w_mk p_k(y_n).
Joint answers (configurations, m) are enumerated while they are few. Beyond that, equally many are drawn by each sample,
with stratified uniform numbers: every candidate meets the same draws, which makes their comparison steady.

Scores never rise along a batch: information is submodular. So an item's last score is an upper bound of its next one,
and only items whose bound reaches the best new score are scored again (lazy greedy, Minoux 1978): the same picks as
from scoring all. Where configurations are drawn, this holds up to the draws' noise, and bounds are raised by
:data:`STANDARD_ERRORS` of it. Bounds there come from few of the drawn configurations: how uncertain an answer is in one
depends almost wholly on the samples' weights in it, which are known of all. So the few are weighted until the means of
simple functions of the weights are those of all (calibration, Deville and Särndal 1992), and what the functions leave
unexplained gives the bound's error: a fifteenth of the spread without products of two weights, a seventieth with them.
Memory is bounded by blocks of configurations and of candidates.
Letters: N candidates, K samples, C answers, M configurations, B configurations of a block, S of the few, F functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.checked import by_id, require_memory, samples
from activelora.acquisition.strategy import (
    SAMPLES,
    Float32Array,
    FloatArray,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)
from activelora.acquisition.ties import Choose, chooser, first, ranking
from activelora.acquisition.top import hesitation, measure, top
from activelora.config.acquisition import BatchBaldConfig
from activelora.seeding import derive_seed

BLOCK_NUMBERS = 200_000
"""Float64 numbers in a block's temporary arrays: 1.6 MB each, which a core's cache holds."""
GROUP_LEAST, GROUP_MOST = 16, 128
"""Candidates that are scored at once: the first of a pick, and at most."""
ROUNDING = 2e-5
"""Nats by which an entropy in float32 can be off, for up to millions of answers; float64 decides among the nearest."""
SMALLEST = {4: 1e-35, 8: 1e-290}
"""Probability in place of 0, by the bytes of a number."""
STANDARD_ERRORS = 4.0
"""Standard errors by which a bound is raised: of the mean over drawn configurations, and of what a few tell of all."""
FEW, EVEN = 500, 0.25
"""Configurations of all drawn ones that bounds come from, at least; share of them that is drawn evenly."""
FEW_PER_FUNCTION, LEAST_FEWER = 10, 4
"""Fewest configurations for each function that is fitted; the factor by which they must be fewer than all, else all
are taken."""
DECIMALS = 9
"""Scores are rounded to a nanonat, so that equal items are equal whatever the order of a sum."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the batch, greedily; equal gains go by the seeded draw."""
    bald_N = measure(pool, "bald")
    if len(bald_N) > 1 and np.ptp(bald_N) == 0:
        return top(pool, bald_N, num, str, seed=context.seed)
    order = by_id(pool)
    ranked = ranking(bald_N, pool.item_ids, context.seed)
    candidates = np.sort(np.argsort(order)[ranked[: max(num, context.settings.candidates)]])
    indices = order[candidates]
    picks: list[Pick] = []
    if not len(indices):
        return picks
    log_probs_NKC = samples(pool)
    gigabytes = 3 * 8e-9 * len(indices) * log_probs_NKC[:1].size
    require_memory(context, f"`batch_bald` with {len(indices)} candidates", gigabytes)
    choose = chooser([pool.item_ids[index] for index in indices], context.seed)
    chosen = greedy(np.exp(log_probs_NKC[indices]), num, context.settings.configurations, context.seed, choose)
    for position, (row, gain) in enumerate(chosen, 1):
        index = int(indices[row])
        reason = f"adds {gain:.3f} nats to what the batch tells about the weights, pick {position}"
        picks.append(Pick(index, gain, f"{reason}{hesitation(pool, index)}"))
    return picks


def greedy(
    probs_NKC: FloatArray, num: int, num_configurations: int, seed: int, choose: Choose = first
) -> list[tuple[int, float]]:
    """Return up to ``num`` rows with the information that each adds to those before, in nats.

    Args:
        probs_NKC: The samples' probabilities.
        num: How many to pick.
        num_configurations: Joint answers that are enumerated at most; beyond that, how many are drawn.
        seed: Seed of the draws; the n-th pick's draw depends on the seed and n alone.
        choose: Chooses among candidates that add the same.
    """
    joint = _Joint(probs_NKC.shape[1], num_configurations, seed)
    gains = _Gains(probs_NKC, joint, choose)
    chosen: list[tuple[int, float]] = []
    for _ in range(min(num, len(probs_NKC))):
        row, gain = gains.take()
        chosen.append((row, gain))
        joint.add(probs_NKC[row])
    return chosen


Screen = Callable[[Float32Array], tuple[FloatArray, FloatArray]]
"""Probabilities → the highest that E H[y | configuration] may be, and the draws' standard error."""


class _Gains:
    """What each candidate adds to the batch so far, kept only as exactly as the next pick needs it.

    Args:
        probs_NKC: The candidates.
        joint: The batch so far.
        choose: Chooses among candidates that add the same.

    Attributes:
        num_screened: How often a candidate was compared with the batch.
    """

    def __init__(self, probs_NKC: FloatArray, joint: _Joint, choose: Choose = first) -> None:
        self._choose = choose
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
        """Take the free candidate that adds most; return its row and what it adds."""
        screens = self._joint.screens()
        passed_N = np.zeros(len(self._bounds_N), dtype=np.int64)  # screens; one more for those that are scored
        slack, size = 0.0, GROUP_LEAST
        while True:
            is_done = True
            for stage in range(len(screens) + 1):
                best = float(self._bounds_N[passed_N > len(screens)].max(initial=-1.0))
                reach = best - slack if stage == 0 else best
                rows = np.flatnonzero(self._free_N & (passed_N == stage) & (self._bounds_N >= reach))
                if not len(rows):
                    continue
                is_done = False
                rows = self._highest(rows, size if stage == 0 else GROUP_LEAST)
                passed_N[rows] += 1
                if stage == len(screens):
                    self._score(rows)
                else:
                    slack = max(slack, self._screen(rows, screens[stage]))
            if is_done:
                break
            size = min(2 * size, GROUP_MOST)
        scored_N = np.where(passed_N > len(screens), self._bounds_N, -1.0)
        row = self._choose(np.flatnonzero(scored_N == scored_N.max()))
        self._free_N[row] = False
        return row, float(self._bounds_N[row])

    def _highest(self, rows: NDArray[np.int64], num: int) -> NDArray[np.int64]:
        return np.sort(rows[np.argsort(-self._bounds_N[rows], kind="stable")[:num]])

    def _screen(self, rows: NDArray[np.int64], screen: Screen) -> float:
        """Bound candidates anew, in float32; return how far the bounds of others may be too low."""
        highest_B, error_B = screen(self._probs_NKC[rows].astype(np.float32))
        self._bounds_N[rows] = np.maximum(highest_B - self._expected_N[rows], 0.0) + ROUNDING
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
        seed: Seed of the draws.
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

    def screens(self) -> list[Screen]:
        """Return ways to bound the entropies from above, the quick one first."""
        if not self._is_exact:
            weights_MK = _softmax(self._log_joint_MK)
            if found := [few for pairs in (False, True) if (few := _Few.of(weights_MK, pairs)) is not None]:
                return [few.entropy_at_most for few in found]
        return [self.entropy_with_error]

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


class _Few:
    """Some of the drawn configurations, weighted so that they stand for all.

    One is taken the likelier, the less sure its weights are of a sample: what the functions leave unexplained grows
    with that.

    Args:
        weights_MK: The samples' weights in all M configurations, equally many drawn by each sample.
        size: How many to take.
        pairs: Whether products of two weights are among the functions.
    """

    def __init__(self, weights_MK: FloatArray, size: int, pairs: bool) -> None:
        num_all, num_samples = weights_MK.shape
        unsure_M = _entropy(weights_MK) + np.finfo(np.float64).tiny
        chances_M = _chances(EVEN / num_all + (1.0 - EVEN) * unsure_M / unsure_M.sum(), size)
        chosen_S = _systematic(chances_M, np.argsort(unsure_M, kind="stable"))
        chosen_SK, chances_S = weights_MK[chosen_S], chances_M[chosen_S]
        self._num_all = num_all
        self._weights_SK = chosen_SK.astype(np.float32)
        self._functions_SF = _functions(chosen_SK, pairs)
        plain_S = 1.0 / (num_all * chances_S)
        self._roots_S = np.sqrt(plain_S)
        self._inverse_FS = np.linalg.pinv(self._roots_S[:, None] * self._functions_SF, rcond=1e-8)
        missing_F = _mean_functions(weights_MK, pairs) - plain_S @ self._functions_SF
        self.shares_S = plain_S + self._roots_S * (missing_F @ self._inverse_FS)
        freedom = 1.0 - self._functions_SF.shape[1] / len(chosen_S)
        self._squares_S = (1.0 - chances_S) * plain_S**2 / freedom
        drawn_by_SK = np.eye(num_samples)[chosen_S // (num_all // num_samples)]
        self._plain_S = plain_S / plain_S.sum()
        self._drawn_by_KS = (drawn_by_SK * self._plain_S[:, None]).T
        self._of_sample_K = np.maximum(self._drawn_by_KS.sum(axis=1), np.finfo(np.float64).tiny)

    @classmethod
    def of(cls, weights_MK: FloatArray, pairs: bool) -> _Few | None:
        """Choose some, or return None where they would not be few."""
        size = max(FEW, FEW_PER_FUNCTION * _functions(weights_MK[:1], pairs).shape[1])
        return cls(weights_MK, size, pairs) if len(weights_MK) >= LEAST_FEWER * size else None

    def entropy_at_most(self, probs_NKC: Float32Array) -> tuple[FloatArray, FloatArray]:
        """Return E H[y | configuration] over all as a bound from above, and the draws' standard error.

        The bound is :data:`STANDARD_ERRORS` above the estimate.
        """
        num_items, num_samples, num_answers = probs_NKC.shape
        flat_KX = np.ascontiguousarray(probs_NKC.transpose(1, 0, 2)).reshape(num_samples, -1)
        parts = [part_BN for _, part_BN in _mixed_entropies(self._weights_SK, flat_KX, (num_items, num_answers))]
        entropy_SN = np.concatenate(parts)
        rest_SN = entropy_SN - self._functions_SF @ (self._inverse_FS @ (self._roots_S[:, None] * entropy_SN))
        error_N = np.sqrt(self._squares_S @ rest_SN**2)
        between_N = (self._drawn_by_KS @ entropy_SN) ** 2 / self._of_sample_K[:, None]
        variance_N = np.maximum(self._plain_S @ entropy_SN**2 - between_N.sum(axis=0), 0.0)
        return self.shares_S @ entropy_SN + STANDARD_ERRORS * error_N, np.sqrt(variance_N / self._num_all)


def _chances(shares_M: FloatArray, size: int) -> FloatArray:
    """Return chances in proportion to shares, at most 1, that make up a size."""
    factor = float(size)
    for _ in range(20):
        chances_M = np.minimum(factor * shares_M, 1.0)
        factor *= size / chances_M.sum()
    return chances_M


def _systematic(chances_M: FloatArray, order_M: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return some numbers, in ascending order, each with its chance: evenly along an order (systematic sampling)."""
    total_M = chances_M[order_M].cumsum()
    return np.unique(order_M[np.searchsorted(total_M, np.arange(0.5, total_M[-1]))])


def _functions(weights_MK: FloatArray, pairs: bool) -> FloatArray:
    """Return what the uncertainty of an answer may depend on, shape (M, F): the weights, and how unequal they are."""
    entropy_M1 = _entropy(weights_MK)[:, None]
    simple = [weights_MK, entropy_M1, entropy_M1**2, weights_MK.max(axis=1, keepdims=True)]
    if not pairs:
        return np.hstack([*simple, weights_MK**2])
    first, second = np.triu_indices(weights_MK.shape[1])
    return np.hstack([*simple, weights_MK[:, first] * weights_MK[:, second]])


def _mean_functions(weights_MK: FloatArray, pairs: bool) -> FloatArray:
    blocks = (weights_MK[begin : begin + FEW] for begin in range(0, len(weights_MK), FEW))
    return np.asarray(sum(_functions(block, pairs).sum(axis=0) for block in blocks) / len(weights_MK))


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
        weights_MK: Weights of the samples in each configuration.
        flat_KX: The samples' distributions, X = N × C.
        shape: N and C.
        shares_M: Weights of the mean.
    """
    mean_N, square_N = np.zeros(shape[0]), np.zeros(shape[0])
    for block, entropy_BN in _mixed_entropies(weights_MK, flat_KX, shape):
        mean_N += shares_M[block] @ entropy_BN
        square_N += shares_M[block] @ entropy_BN**2
    return mean_N, square_N


def _mixed_entropies(weights_MK: Any, flat_KX: Any, shape: tuple[int, int]) -> Iterator[tuple[slice, FloatArray]]:
    """Yield the entropy of every item's mixed distribution, a block of configurations after the other."""
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
        yield block, -np.einsum("bnc,bnc->bn", mixed_BNC, logs_BNC).astype(np.float64)


def _entropy(probs: FloatArray) -> FloatArray:
    """Return −Σ p ln p over the last axis, with 0 ln 0 = 0."""
    logs = np.log(np.maximum(probs, np.finfo(np.float64).tiny))
    logs *= probs
    return -np.asarray(logs.sum(axis=-1), dtype=np.float64)


STRATEGY = Strategy(
    "batch_bald",
    "I(y₁…y_b; w): the batch whose labels together tell most about the weights",
    select,
    needs=frozenset({SAMPLES}),
    needs_answers=True,
    measures=("bald",),
    settings=BatchBaldConfig,
)
