"""C-LoRA (Rahmati et al. 2025, arXiv 2505.17773): the KL term of training, and sampling in training and scoring.

Letters: B batch, T tokens, P prefix tokens, R rank.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from torch import nn

from activelora.modeling.clora_layers import CLoraLinear, Noise, Posterior
from activelora.modeling.decoder_parts import decoder_parts
from activelora.modeling.key_values import cache_among
from activelora.modeling.lora import ADAPTER_NAME
from activelora.modeling.rows import Rows
from activelora.seeding import derive_seed

BLOCK_TOKENS = 64
"""Positions whose noise is drawn at once; part of what a seed means."""


def clora_layers(adapted: PeftModel) -> dict[str, CLoraLinear]:
    """Return the adapted layers by name, in the model's order."""
    return {name: module for name, module in adapted.named_modules() if isinstance(module, CLoraLinear)}


def kl_to_prior(posterior: Posterior, prior_std: float) -> torch.Tensor:
    """Return KL(q(E | x) ‖ N(0, prior_std²)) in nats, summed over E's R² entries.

    Per entry: ``ln(s/σ) + (σ² + μ²) / (2s²) − ½``.

    Args:
        posterior: q for some tokens, shapes (..., R, R).
        prior_std: s.

    Returns:
        Shape (...).
    """
    ratio = (posterior.std.square() + posterior.mean.square()) / (2.0 * prior_std**2)
    entries = math.log(prior_std) - posterior.log_std + ratio - 0.5
    return entries.sum(dim=(-2, -1))


def mean_kl(layers: Sequence[CLoraLinear], rows: Rows, prior_std: float) -> torch.Tensor:
    """Return the KL averaged over the valid tokens of each layer's last pass, and then over layers.

    It starts from z without its gradient, so that A and B learn nothing from it, and outside of what may be
    checkpointed, so that its gradients are right under gradient checkpointing of either kind.

    Args:
        layers: The layers, after one recorded forward pass of a batch.
        rows: The answers' tokens: a sequence's last one ends it, and what follows is padding.
        prior_std: The prior's standard deviation.
    """
    lengths_B = _lengths(rows)
    total = torch.zeros((), device=lengths_B.device)
    for layer in layers:
        if layer.seen is None:
            raise RuntimeError("no forward pass was recorded")
        z = layer.seen.to(layer.lora_E1[ADAPTER_NAME].weight.dtype)
        if z.dim() == 3:  # the output head sees no padding
            z = z[torch.arange(z.shape[1], device=z.device) < lengths_B.to(z.device)[:, None]]
        total = total + kl_to_prior(layer.posterior(z, ADAPTER_NAME), prior_std).mean().to(total.device)
    return total / len(layers)


def _lengths(rows: Rows) -> torch.Tensor:
    lengths_B = torch.zeros(int(rows.sequences.max()) + 1, dtype=torch.long, device=rows.positions.device)
    return lengths_B.scatter_reduce(0, rows.sequences, rows.positions + 1, reduce="amax")


class FreshNoise:
    """Noise for training, from torch's own generator, so that recomputed activations draw the same.

    Args:
        kind: ``token`` or ``sequence``.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def draw(self, z: torch.Tensor, rows: Rows | None) -> torch.Tensor:
        """Return a draw a token, or a draw a sequence; see :class:`~activelora.modeling.clora_layers.Noise`."""
        rank = z.shape[-1]
        if self._kind == "token":
            return torch.randn(*z.shape, rank, device=z.device)
        if z.dim() == 3:
            return torch.randn(len(z), 1, rank, rank, device=z.device)
        if rows is None:
            raise RuntimeError("one draw a sequence needs to know which sequence a row is from")
        draws = torch.randn(int(rows.sequences.max()) + 1, rank, rank, device=z.device)
        return draws[rows.sequences.to(z.device)]


class FixedNoise:
    """Noise for scoring: sample k is one function of a layer's name and a token's position, for every item alike.

    So a sample is the same in every batch, order and shard, on the CPU and on a GPU, with and without a cached prefix.

    Args:
        kind: ``token`` or ``sequence``.
        seed: Seed of the sample and the layer.
        clock: Holds P, how many tokens came before the present pass.
    """

    def __init__(self, kind: str, seed: int, clock: Clock) -> None:
        self._kind = kind
        self._seed = seed
        self._clock = clock
        self._drawn: torch.Tensor | None = None

    def draw(self, z: torch.Tensor, rows: Rows | None) -> torch.Tensor:
        """Return the noise of the tokens' positions; see :class:`~activelora.modeling.clora_layers.Noise`."""
        rank = z.shape[-1]
        if self._kind == "sequence":
            return self._table(1, rank, z.device)[0]
        if z.dim() == 3:
            if (given := self._clock.positions) is not None:
                return self._table(int(given.max()) + 1, rank, z.device)[given.to(z.device)]
            begin = self._clock.num_before
            return self._table(begin + z.shape[1], rank, z.device)[begin : begin + z.shape[1]]
        if rows is None:
            raise RuntimeError("one draw a token needs to know which position a row is from")
        positions = rows.positions.to(z.device)
        return self._table(int(positions.max()) + 1, rank, z.device)[positions]

    def _table(self, num_positions: int, rank: int, device: torch.device) -> torch.Tensor:
        drawn = self._drawn
        while drawn is None or len(drawn) < num_positions:
            number = 0 if drawn is None else len(drawn) // BLOCK_TOKENS
            generator = np.random.default_rng(derive_seed(self._seed, number))
            block = torch.from_numpy(generator.standard_normal((BLOCK_TOKENS, rank, rank), dtype=np.float32)).to(device)
            drawn = self._drawn = block if drawn is None else torch.cat([drawn, block])
        return drawn


class Clock:
    """Knows how many tokens of each sequence came before the present pass of a decoder.

    Attributes:
        num_before: P.
        positions: Each token's position, shape (B, T), where the pass is told; None where they follow P.
    """

    num_before: int = 0
    positions: torch.Tensor | None = None

    @contextmanager
    def watching(self, decoder: nn.Module) -> Iterator[None]:
        """Read the length of the key-value cache before each of the decoder's passes."""
        hook = decoder.register_forward_pre_hook(self._note, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def _note(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        cache = cache_among(kwargs)
        self.num_before = 0 if cache is None else int(cache.get_seq_length())
        self.positions = kwargs.get("position_ids")


class ContextSamples:
    """Puts a sample of a C-LoRA adapter into effect; nothing is merged, as every token has its own weights.

    Args:
        adapted: The model with its adapter.
        seed: Seed of the samples.
    """

    def __init__(self, adapted: PeftModel, seed: int) -> None:
        self._layers = clora_layers(adapted)
        self._decoder: nn.Module = decoder_parts(adapted.get_base_model()).decoder
        self._seed = seed

    @contextmanager
    def activate(self, sample: int | None) -> Iterator[None]:
        """Switch on the noise of sample k; None is the posterior mean."""
        clock = Clock()
        noise: dict[str, Noise] = {}
        if sample is not None:
            for name, layer in self._layers.items():
                seed = derive_seed(self._seed, "sample", sample, name)
                noise[name] = FixedNoise(layer.context[ADAPTER_NAME].noise, seed, clock)
        with noisy(self._layers, noise), clock.watching(self._decoder), torch.no_grad():
            yield


@contextmanager
def recorded(layers: Sequence[CLoraLinear]) -> Iterator[None]:
    """Keep z of each pass, for :func:`mean_kl`."""
    try:
        for layer in layers:
            layer.recording = True
        yield
    finally:
        for layer in layers:
            layer.recording, layer.seen = False, None


@contextmanager
def noisy(layers: Mapping[str, CLoraLinear], noise: Mapping[str, Noise]) -> Iterator[None]:
    """Give each named layer its source of noise, and back what it had; without one it returns the posterior mean."""
    before = {name: (layer.noise, layer.rows) for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            layer.noise = noise.get(name)
        yield
    finally:
        for name, layer in layers.items():
            layer.noise, layer.rows = before[name]
