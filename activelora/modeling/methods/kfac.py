"""Kronecker-factored curvature of linear layers: tensors in, tensors out (Martens and Grosse 2015).

A layer's generalised Gauss-Newton matrix over its weight (O × I) is taken as ``H ≈ In ⊗ Out`` with
``In = Σ a·aᵀ / n`` over the layer's inputs a at all n tokens, and ``Out = Σ g·gᵀ`` over the gradients g of its outputs,
one for every column of a square root of the softmax's Hessian. It is exact for one token, or where all tokens' inputs
are the same. The prior adds ``δ·1``.

Letters: O outputs, I inputs, M vectors, Q kept directions, K samples, C classes, B batch, G precisions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch


def softmax_hessian_root(probs_BC: torch.Tensor) -> torch.Tensor:
    """Return L_BCC with ``L·Lᵀ = diag(p) − p·pᵀ``, the Hessian of the negative log-softmax in its logits.

    Answers of probability 0, such as padding, have rows and columns of zeros.
    """
    roots_BC = probs_BC.sqrt()
    return torch.diag_embed(roots_BC) - probs_BC[:, :, None] * roots_BC[:, None, :]


@dataclass(frozen=True)
class Spectrum:
    """A positive semidefinite matrix by its leading eigenvectors; zero on what they leave out.

    Attributes:
        values_Q: Eigenvalues.
        vectors_DQ: Orthonormal columns.
    """

    values_Q: torch.Tensor
    vectors_DQ: torch.Tensor


class Factor:
    """Sums v·vᵀ over many vectors: exactly where they are short, else in their leading directions.

    Args:
        width: D, the vectors' length.
        rank: Keep this many directions where D is larger.
        device: Device of the vectors.
    """

    def __init__(self, width: int, rank: int, device: torch.device) -> None:
        self._rank = min(rank, width)
        self._gram_DD = torch.zeros(width, width, device=device) if width <= rank else None
        self._sketch_DQ = torch.zeros(width, 0, device=device)

    def add(self, vectors_MD: torch.Tensor) -> None:
        """Add the vectors' outer products."""
        vectors_MD = vectors_MD.float()
        if self._gram_DD is not None:
            self._gram_DD += vectors_MD.T @ vectors_MD
        else:
            self._sketch_DQ = self._leading(torch.cat([self._sketch_DQ, vectors_MD.T], dim=1))

    def spectrum(self) -> Spectrum:
        """Return the sum's spectrum."""
        if self._gram_DD is not None:
            values_Q, vectors_DQ = torch.linalg.eigh(self._gram_DD.double())
            return Spectrum(values_Q.clamp_min(0.0).float(), vectors_DQ.float())
        values_Q = self._sketch_DQ.square().sum(dim=0)
        return Spectrum(values_Q, self._sketch_DQ / values_Q.sqrt().clamp_min(torch.finfo(torch.float32).tiny))

    def _leading(self, columns_DM: torch.Tensor) -> torch.Tensor:
        """Return the leading left singular vectors times their singular values; draws from torch's generator."""
        if min(columns_DM.shape) <= 2 * self._rank:
            u_DQ, s_Q, _ = torch.linalg.svd(columns_DM, full_matrices=False)
        else:
            u_DQ, s_Q, _ = torch.svd_lowrank(columns_DM, q=self._rank + 8, niter=2)
        leading_DQ: torch.Tensor = u_DQ[:, : self._rank] * s_Q[: self._rank]
        return leading_DQ


@dataclass(frozen=True)
class LayerCurvature:
    """The factors of one layer, ``H ≈ In ⊗ Out``.

    Attributes:
        inputs: Spectrum of In (I × I).
        outputs: Spectrum of Out (O × O).
    """

    inputs: Spectrum
    outputs: Spectrum

    def eigenvalues(self) -> torch.Tensor:
        """Return H's eigenvalues on the kept directions, shape (Q_out, Q_in); H's others are 0."""
        return torch.outer(self.outputs.values_Q, self.inputs.values_Q)

    def draw(self, noise_KOI: torch.Tensor, precision: float) -> torch.Tensor:
        """Turn standard normal noise into draws of N(0, (H + δ)^-1), shape (K, O, I).

        Args:
            noise_KOI: The noise.
            precision: δ.
        """
        u_OQ, v_IQ = self.outputs.vectors_DQ, self.inputs.vectors_DQ
        projected_KQQ = u_OQ.T @ noise_KOI @ v_IQ
        shrink_QQ = (self.eigenvalues() + precision).rsqrt() - precision**-0.5
        drawn_KOI: torch.Tensor = noise_KOI * precision**-0.5 + u_OQ @ (projected_KQQ * shrink_QQ) @ v_IQ.T
        return drawn_KOI

    def score_covariances(self, slopes_COI: torch.Tensor, precisions_G: torch.Tensor) -> torch.Tensor:
        """Return J·(H + δ)^-1·Jᵀ for each δ, shape (G, C, C), in double precision.

        Args:
            slopes_COI: J: what each of C scores gains from each entry of the weight.
            precisions_G: Values of δ, in double precision.
        """
        projected_CQ = (self.outputs.vectors_DQ.T @ slopes_COI @ self.inputs.vectors_DQ).flatten(1).double()
        slopes_CP = slopes_COI.flatten(1).double()
        change_GQ = 1.0 / (self.eigenvalues().flatten().double() + precisions_G[:, None]) - 1.0 / precisions_G[:, None]
        prior_GCC = (slopes_CP @ slopes_CP.T) / precisions_G[:, None, None]
        return prior_GCC + (projected_CQ * change_GQ[:, None, :]) @ projected_CQ.T


def log_evidence(
    log_likelihood: float, square_norm: float, eigenvalues: Iterable[torch.Tensor], precision: float
) -> float:
    """Return Laplace's log marginal likelihood, ``log p(D|θ) − (δ·‖θ‖² + Σ log(1 + h/δ)) / 2``, in nats.

    Args:
        log_likelihood: Log-likelihood of the labels at θ, in nats.
        square_norm: ‖θ‖² of the trained weights; the prior's mean is 0.
        eigenvalues: h, of H; zeros may be left out.
        precision: δ, of the prior.
    """
    log_ratio = sum(float(torch.log1p(values.double() / precision).sum()) for values in eigenvalues)
    return log_likelihood - 0.5 * (precision * square_norm + log_ratio)
