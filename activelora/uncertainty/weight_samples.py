"""Monte-Carlo dropout over LoRA as weight samples: tensors in, tensors out.

One sample is one fixed mask over the input columns of A (Gal and Ghahramani 2016's reading of dropout as a
distribution over weights): ``W_k = W + s · B · (A ∘ m_k) / (1 − p)``, the same for every item and token.

Letters: R rank, I inputs, O outputs of an adapted linear layer.
"""

from __future__ import annotations

import torch

from activelora.seeding import derive_seed


def column_mask(seed: int, sample: int, layer_name: str, num_inputs: int, dropout: float) -> torch.Tensor:
    """Draw the mask of one layer in one sample.

    Args:
        seed: The seed of the pass, for example ``campaign.seed("mask", round)``.
        sample: k.
        layer_name: The layer's name in the model.
        num_inputs: I.
        dropout: p, the probability of a zero.

    Returns:
        Shape (I,), float32: 0 or 1 / (1 − p).
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "sample", sample, layer_name))
    is_used_I = torch.rand(num_inputs, generator=generator) >= dropout
    return is_used_I.float() / (1.0 - dropout)


def merged_weight(
    weight_OI: torch.Tensor,
    a_RI: torch.Tensor,
    b_OR: torch.Tensor,
    scaling: float,
    mask_I: torch.Tensor | None,
    out_OI: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return ``W + s · B · (A ∘ m)``, computed in float32 and returned in W's dtype.

    Args:
        weight_OI: The frozen weight W.
        a_RI: LoRA's A.
        b_OR: LoRA's B.
        scaling: s = alpha / R.
        mask_I: The sample's mask, already divided by 1 − p; None for the adapter as it is.
        out_OI: Array to write it to, of W's shape and dtype; None takes new memory.

    Returns:
        Shape (O, I).
    """
    a = a_RI.float() if mask_I is None else a_RI.float() * mask_I.to(a_RI.device)
    if out_OI is not None and out_OI.dtype == torch.float32:
        return torch.addmm(weight_OI, b_OR.float(), a, alpha=scaling, out=out_OI)
    merged = torch.addmm(weight_OI.float(), b_OR.float(), a, alpha=scaling)
    return merged.to(weight_OI.dtype) if out_OI is None else out_OI.copy_(merged)
