"""Expected gradient length from gradient lengths, and those of an answer head in closed form: arrays in, arrays out.

Letters: N items, C answers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def head_lengths(probs_NC: FloatArray, hidden_norms_N: FloatArray) -> FloatArray:
    """Return lengths_NC = ‖p − e_y‖₂ · ‖h‖₂, the gradient's length at a linear answer head if the label were y.

    The loss −log softmax(W·h)_y has the gradient (p − e_y) ⊗ h with respect to W, whose Frobenius norm is the product
    of the two norms; ‖p − e_y‖² = ‖p‖² − 2·p_y + 1.

    Args:
        probs_NC: p, padded with zeros where an item has fewer answers.
        hidden_norms_N: ‖h‖₂ of the hidden state that the head reads.
    """
    squared_N1 = np.einsum("nc,nc->n", probs_NC, probs_NC)[:, None]
    residual_NC = np.sqrt(np.maximum(squared_N1 - 2.0 * probs_NC + 1.0, 0.0))
    return np.asarray(residual_NC * hidden_norms_N[:, None], dtype=np.float64)


def expected_length(probs_NC: FloatArray, lengths_NC: FloatArray) -> FloatArray:
    """Return scores_N = Σ_y p_y · lengths_y (Settles et al. 2008): over all labels, not only the most probable one.

    Args:
        probs_NC: p; an answer of probability 0 adds nothing, whatever its length.
        lengths_NC: ‖∇ℓ(x, y)‖₂ of each answer y.
    """
    products_NC = np.multiply(probs_NC, lengths_NC, out=np.zeros_like(probs_NC), where=probs_NC > 0)
    scores_N: FloatArray = products_NC.sum(axis=1)
    return scores_N
