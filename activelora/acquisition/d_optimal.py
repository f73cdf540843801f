"""D-optimal design: the batch that tells most about the last layer (Kveton et al. 2025, arXiv 2503.01076).

For preferences: DPO's loss, linearised at the last layer, is a logistic regression on v = φ(x, y₁) − φ(x, y₂), what the
answers' features differ by, with μ = P(first ≻ second). What labels tell about its weights is the Hessian H = λI + Σ_i
μ_i(1 − μ_i) v_i v_iᵀ, over the items that have a label already and the picks so far: the model's μ stands for labels
that are not there yet. The next pick adds most to log det H: argmax_i log(1 + μ_i(1 − μ_i) v_iᵀ H⁻¹ v_i). The paper's
factor β² is the same for all items and goes into λ. Exchanging an item's answers changes nothing.

Ours: φ is the mean of an answer's last hidden states, where the paper has a feature of the answer; μ is the mean over
the posterior's samples; λ = `ridge` × the mean over the pool of μ(1 − μ)‖v‖² / D, so that scaling the features changes
no pick; the batch is picked by one model, which is trained anew after it.

Elsewhere v is the item's embedding, less the mean of all where `scoring.embedding` is not `prompt`, and each answer c
has an H_c of its own, with p̄_c(1 − p̄_c): one answer against the others. score = Σ_c log(1 + p̄_c(1 − p̄_c) vᵀ H_c⁻¹ v),
in nats, what is added to Σ_c log det H_c. These are the blocks on the diagonal of the softmax's Hessian (diag p̄ − p̄p̄ᵀ)
⊗ vvᵀ: its log det is at most that sum. With two answers the two blocks are equal, and one is counted: that is logistic
regression, exactly.

H_c⁻¹ = (I − F_cᵀF_c) / λ is kept by its factor F_c, by Woodbury for the labelled items and with one row more for each
pick (Sherman and Morrison). Time: O(C·D·min(L, D)·(N + L)) to begin, O(C·D·(N + min(L, D) + B)) a pick; memory:
C·D·(min(L, D) + B) numbers. Equal scores go by the seeded draw.
Letters: N unlabelled items, D features, L labelled items, C answers (1 where there are two), B batch, M rows of F_c.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.checked import (
    by_id,
    features,
    labeled_features,
    labeled_probabilities,
    ordered,
    probabilities,
    require_memory,
)
from activelora.acquisition.spill import blocks
from activelora.acquisition.strategy import (
    FEATURES,
    Float32Array,
    FloatArray,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)
from activelora.acquisition.ties import Choose, chooser, first
from activelora.acquisition.top import hesitation
from activelora.config.acquisition import DOptimalConfig

DECIMALS = 9
"""Scores are rounded to a nanonat, so that equal items are equal whatever the order of a sum."""


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the batch, greedily."""
    order = by_id(pool)
    if not len(order):
        return []
    points_ND, labeled_LD = features(pool), labeled_features(pool)
    middle_D = pool.middle_D if pool.features_ND is None else None  # a difference has an origin of its own
    weights_NC, weights_LC = weights(probabilities(pool)), weights(labeled_probabilities(pool))
    num_features, num_rows = points_ND.shape[1], min(labeled_LD.shape) + min(num, len(order))
    require_memory(context, "`d_optimal`", 8e-9 * weights_NC.shape[1] * num_features * num_rows)
    design = Design(ordered(points_ND, order), weights_NC[order], context.settings.ridge, middle_D)
    design.begin(labeled_LD, weights_LC)
    choose = chooser([pool.item_ids[index] for index in order], context.seed)
    picks = []
    for position, (row, gain) in enumerate(greedy(design, num, choose), 1):
        index = int(order[row])
        reason = f"adds {gain:.4f} nats to what is known of the last layer, pick {position}{hesitation(pool, index)}"
        picks.append(Pick(index, gain, reason))
    return picks


def weights(probs_NC: FloatArray) -> FloatArray:
    """Return p(1 − p) of each answer; of two answers, whose weights are equal, one column."""
    if probs_NC.shape[1] == 2:
        return np.asarray(probs_NC[:, :1] * probs_NC[:, 1:], dtype=np.float64)
    return probs_NC * (1.0 - probs_NC)


def greedy(design: Design, num: int, choose: Choose = first) -> list[tuple[int, float]]:
    """Return up to ``num`` rows, each with what it added, in nats.

    Args:
        design: What is known, and what each item would add; it takes in the picks.
        num: How many to pick.
        choose: Chooses among equal rows.
    """
    free_N = np.ones(len(design), dtype=np.bool_)
    chosen = []
    for _ in range(min(num, len(design))):
        gains_N = np.where(free_N, design.gains(), -np.inf)
        row = choose(np.flatnonzero(gains_N == gains_N.max()))
        chosen.append((row, float(gains_N[row])))
        free_N[row] = False
        design.add(row)
    return chosen


class Design:
    """What is known of the last layer, H_c of each answer, and what each item's label would add.

    Args:
        points_ND: Features of the pool; they may lie in a file.
        weights_NC: Weights of the pool, by :func:`weights`.
        ridge: λ in units of the pool's mean weight × ‖v‖² / D.
        middle_D: What is taken off all features; None takes off nothing.
    """

    def __init__(
        self, points_ND: Float32Array, weights_NC: FloatArray, ridge: float, middle_D: FloatArray | None = None
    ) -> None:
        self._points_ND = points_ND
        self._middle_D = np.zeros(points_ND.shape[1]) if middle_D is None else middle_D
        self._weights_NC = weights_NC
        norms_N = np.concatenate([np.einsum("bd,bd->b", *[self._block(rows)] * 2) for rows in blocks(points_ND)])
        self._ridge = ridge * float((weights_NC.mean(axis=1) * norms_N).mean()) / max(1, points_ND.shape[1])
        if self._ridge <= 0.0:  # nobody tells anything
            self._ridge = 1.0
        self._factors_CMD: list[FloatArray] = [np.empty((0, points_ND.shape[1])) for _ in weights_NC.T]
        self._left_NC: FloatArray = np.repeat(norms_N[:, None], weights_NC.shape[1], axis=1)
        """λ vᵀ H_c⁻¹ v."""

    def __len__(self) -> int:
        return len(self._points_ND)

    def begin(self, labeled_LD: Float32Array, weights_LC: FloatArray) -> None:
        """Take in the labelled items, before any pick.

        Args:
            labeled_LD: Their features; L may be 0.
            weights_LC: Their weights, by :func:`weights`.
        """
        if not len(labeled_LD):
            return
        rows_LD = labeled_LD.astype(np.float64) - self._middle_D
        for answer, weights_L in enumerate(weights_LC.T):
            # A triangle R with RᵀR = Σ w v vᵀ: no more rows than features. (λI + RᵀR)⁻¹ = (I − Rᵀ(λI + RRᵀ)⁻¹R) / λ.
            _, triangle_MD = np.linalg.qr(np.sqrt(weights_L)[:, None] * rows_LD)
            inner_MM = triangle_MD @ triangle_MD.T
            inner_MM[np.diag_indices_from(inner_MM)] += self._ridge
            factor_MD = np.linalg.solve(np.linalg.cholesky(inner_MM), triangle_MD)
            self._factors_CMD[answer] = factor_MD
            for rows in blocks(self._points_ND):
                self._left_NC[rows, answer] -= np.square(self._block(rows) @ factor_MD.T).sum(axis=1)

    def gains(self) -> FloatArray:
        """Return what each item would add to Σ_c log det H_c, in nats, shape (N,)."""
        growth_NC = self._weights_NC * np.maximum(self._left_NC, 0.0) / self._ridge
        return np.asarray(np.round(np.log1p(growth_NC).sum(axis=1), DECIMALS), dtype=np.float64)

    def add(self, row: int) -> None:
        """Take in a pick."""
        point_D = self._block(slice(row, row + 1))[0]
        for answer, factor_MD in enumerate(self._factors_CMD):
            left_D = point_D - factor_MD.T @ (factor_MD @ point_D)
            weight = self._weights_NC[row, answer]
            left_D *= np.sqrt(weight / (self._ridge + weight * max(float(point_D @ left_D), 0.0)))
            self._factors_CMD[answer] = np.vstack([factor_MD, left_D])
        newest_DC = np.stack([factor_MD[-1] for factor_MD in self._factors_CMD], axis=1)
        for rows in blocks(self._points_ND):
            self._left_NC[rows] -= np.square(self._block(rows) @ newest_DC)

    def _block(self, rows: slice | NDArray[np.int64]) -> FloatArray:
        return np.asarray(self._points_ND[rows].astype(np.float64) - self._middle_D, dtype=np.float64)


STRATEGY = Strategy(
    "d_optimal",
    "argmax Σ_c log(1 + p̄_c(1 − p̄_c) vᵀH_c⁻¹v): what adds most to log det of the last layer's information H",
    select,
    needs=frozenset({FEATURES}),
    needs_answers=True,
    forms=frozenset({"choice"}),
    settings=DOptimalConfig,
)
