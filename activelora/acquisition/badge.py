"""BADGE: items whose gradients are large and different (Ash et al. 2020, arXiv 1906.03671).

The gradient embedding is g_i = s_i ⊗ h_i, s_i = p̄_i − onehot(argmax p̄_i): the gradient of the loss with respect to a
linear answer head on the embedding h_i, if the model's own answer were the label. The batch is drawn by k-means++: the
first pick has the largest norm, every other is drawn with probability ∝ its squared distance to the nearest pick. As
⟨g_i, g_j⟩ = ⟨s_i, s_j⟩·⟨h_i, h_j⟩, the N × C·D matrix is never formed. Most items need not be compared with a new pick:
‖g_i − g_j‖² is at least (‖g_i‖ − ‖g_j‖)² and at least ‖g_i‖² + ‖g_j‖² − 2·|⟨s_i, s_j⟩|·‖h_i‖·‖h_j‖, and where such a
bound is above the distance that an item has, nothing changes. Embeddings are read in blocks, and may lie in a file.

Where an item's two answers are compared, h is what the answers' states differ by: P(first ≻ second) is the sigmoid of a
linear head on that, and exchanging the answers flips the signs of both s and h, and leaves g.

score = distance to the nearest earlier pick (of the first: its norm). Copies of a pick are at distance 0 and are drawn
only if nothing else is left, by item id. Items of which the model is certain have norm 0: copies of one another.
Letters: N unlabelled items, C answers, D features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.checked import by_id, features, ordered
from activelora.acquisition.strategy import (
    FEATURES,
    Float32Array,
    FloatArray,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)
from activelora.acquisition.top import hesitation
from activelora.errors import ModelError
from activelora.seeding import derive_seed

ROUNDING = 1e-5
"""Share of the squared norms by which a squared distance can be off: the embeddings' products are float32."""
GATHER_MOST = 0.3
"""Share of the rows up to which it is cheaper to gather them than to take the product with all."""
BLOCK_NUMBERS = 4_000_000
"""Numbers in a block of embeddings or residuals: 16 or 32 MB."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the batch by k-means++ over gradient embeddings."""
    order = by_id(pool)
    if not len(order):
        return []
    if not np.isfinite(pool.mean_probs_NC).all():
        raise ModelError("the pool's mean probabilities are not all finite numbers")
    residuals_NC = residuals(pool.mean_probs_NC[order])
    chosen = kmeans_plus_plus(residuals_NC, ordered(features(pool), order), num, derive_seed(context.seed, "badge"))
    picks = []
    for position, (row, distance) in enumerate(chosen, 1):
        index = int(order[row])
        what = f"its gradient is {distance:.3g} from that of any pick" if position > 1 else "the largest gradient"
        picks.append(Pick(index, distance, f"{what}, pick {position}{hesitation(pool, index)}"))
    return picks


def residuals(probs_NC: FloatArray) -> FloatArray:
    """Return s = p − onehot(argmax p), the gradient with respect to the logits; the first of equal answers counts."""
    residuals_NC = probs_NC.copy()
    residuals_NC[np.arange(len(probs_NC)), probs_NC.argmax(axis=1)] -= 1.0
    return residuals_NC


def kmeans_plus_plus(
    residuals_NC: FloatArray, embeddings_ND: Float32Array, num: int, seed: int
) -> list[tuple[int, float]]:
    """Return up to ``num`` rows, each with its distance to the nearest row before it (the first: its norm).

    Args:
        residuals_NC: s, as :func:`residuals` gives it.
        embeddings_ND: h, in the order in which equal items go.
        num: How many to draw.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    gradients = _Gradients(residuals_NC, embeddings_ND)
    norms_N = gradients.norms_N
    # The origin is no centre: it is what the first pick's score is measured from, and counts no longer after that.
    squared_N, free_N = np.full(len(norms_N), np.inf), np.ones(len(norms_N), dtype=np.bool_)
    chosen: list[tuple[int, float]] = []
    while len(chosen) < min(num, len(norms_N)):
        row = _drawn(squared_N, free_N, rng) if chosen else int(norms_N.argmax())
        chosen.append((row, float(np.sqrt(squared_N[row] if chosen else norms_N[row]))))
        free_N[row] = False
        gradients.lower(squared_N, row)
    return chosen


class _Gradients:
    """The gradient embeddings in their two factors.

    Args:
        residuals_NC: s.
        embeddings_ND: h.

    Attributes:
        norms_N: ‖g‖².
    """

    def __init__(self, residuals_NC: FloatArray, embeddings_ND: Float32Array) -> None:
        self._residuals_NC = residuals_NC
        self._embeddings_ND = embeddings_ND
        self._lengths_N = np.sqrt(np.einsum("nd,nd->n", embeddings_ND, embeddings_ND, dtype=np.float64))
        self.norms_N: FloatArray = np.einsum("nc,nc->n", residuals_NC, residuals_NC) * self._lengths_N**2
        self._roots_N = np.sqrt(self.norms_N)

    def lower(self, squared_N: FloatArray, row: int) -> None:
        """Lower squared distances to nearest picks where a new pick is nearer, in place."""
        sums_N = self.norms_N + self.norms_N[row]
        limits_N = squared_N + ROUNDING * sums_N
        rows = np.flatnonzero((self._roots_N - self._roots_N[row]) ** 2 < np.maximum(limits_N, 2 * ROUNDING * sums_N))
        left_B = _products(self._residuals_NC, rows, row)
        lowest_B = sums_N[rows] - 2.0 * np.abs(left_B) * self._lengths_N[rows] * self._lengths_N[row]
        near_B = lowest_B < np.maximum(limits_N[rows], 2 * ROUNDING * sums_N[rows])
        rows, left_B = rows[near_B], left_B[near_B]
        distances_B = sums_N[rows] - 2.0 * left_B * _products(self._embeddings_ND, rows, row)
        distances_B[distances_B <= ROUNDING * sums_N[rows]] = 0.0
        squared_N[rows] = np.minimum(squared_N[rows], distances_B)


def _products(matrix_NX: FloatArray | Float32Array, rows: NDArray[np.int64], row: int) -> FloatArray:
    """Return the products of some rows with one."""
    vector_X = np.asarray(matrix_NX[row])
    if len(rows) > len(matrix_NX) * GATHER_MOST:
        return np.asarray((matrix_NX @ vector_X)[rows], dtype=np.float64)
    products_B, size = np.empty(len(rows)), max(1, BLOCK_NUMBERS // max(1, matrix_NX.shape[1]))
    for begin in range(0, len(rows), size):
        products_B[begin : begin + size] = matrix_NX[rows[begin : begin + size]] @ vector_X
    return products_B


def _drawn(squared_N: FloatArray, free_N: np.ndarray, rng: np.random.Generator) -> int:
    """Draw a free row ∝ its squared distance; the first one if all are 0."""
    edges_N = np.where(free_N, squared_N, 0.0).cumsum()
    if edges_N[-1] == 0.0:
        return int(free_N.argmax())
    # A row of weight 0 has no span between two edges, and the number drawn is below the last edge.
    drawn = float(rng.random() * edges_N[-1])
    return int(np.searchsorted(edges_N, min(drawn, float(np.nextafter(edges_N[-1], 0.0))), side="right"))


STRATEGY = Strategy(
    "badge",
    "k-means++ over g = (p̄ − onehot(argmax p̄)) ⊗ h: gradients that are large and different",
    select,
    needs=frozenset({FEATURES}),
    needs_answers=True,
)
