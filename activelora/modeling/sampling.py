"""Ways to put a Monte-Carlo dropout sample of an adapter into effect while a model runs.

All have one method, ``activate(k)``: a context in which the model is sample k (or the plain adapter, for None).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import nn

from activelora.modeling.lora import ADAPTER_NAME, lora_layers, switched_off, weights_by_name
from activelora.modeling.posterior import Prediction
from activelora.seeding import derive_seed
from activelora.uncertainty.weight_samples import column_mask, merged_weight

if TYPE_CHECKING:
    from activelora.campaign.records import Item
    from activelora.config import CampaignConfig
    from activelora.modeling.base import BaseModel
    from activelora.scoring.engine import Engine


class Sampler(Protocol):
    """Puts samples into effect."""

    def activate(self, sample: int | None) -> AbstractContextManager[None]:
        """Return the context in which the model is sample k, or for None the model without dropout."""


class SampledPosterior:
    """A posterior whose samples a sampler puts into effect, one pass each.

    Args:
        sampler: Puts sample k into effect, or for None the mean.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    def predict(
        self, engine: Engine, items: Sequence[Item], num_samples: int, with_embeddings: bool, description: str
    ) -> Prediction:
        """Run the engine once a different sample. See :class:`~activelora.modeling.posterior.Posterior`."""
        numbers = sample_numbers(self.sampler, num_samples)
        if with_embeddings:
            return Prediction(*engine.log_probs_and_embeddings(items, self.sampler, numbers, description))
        return Prediction(engine.log_probs(items, self.sampler, numbers, description))


class NoAdapter:
    """The base model: every sample is the same."""

    def activate(self, sample: int | None) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()


class BaseAlone:
    """The base model under an adapter that stays attached.

    Args:
        base: The base model.
    """

    def __init__(self, base: BaseModel) -> None:
        self._base = base

    def activate(self, sample: int | None) -> AbstractContextManager[None]:
        """Switch the adapter off; whichever the sample, it is the same."""
        return switched_off(self._base.model)


def sample_numbers(sampler: Sampler, num_samples: int) -> list[int | None]:
    """Return the samples to put into effect: K, or the one prediction without sampling for K = 0 and the base model."""
    return [None] if num_samples == 0 or isinstance(sampler, NoAdapter) else list(range(num_samples))


class MergedSamples:
    """Weight samples merged into the dense weights: a pass costs what the base model's costs.

    The base weights are kept beside and put back bit for bit. All samples are merged into the same memory.

    Args:
        adapted: The model with its adapter.
        dropout: p.
        seed: Seed of the masks.
    """

    def __init__(self, adapted: PeftModel, dropout: float, seed: int) -> None:
        self._adapted = adapted
        self._layers = lora_layers(adapted)
        self._dropout = dropout
        self._seed = seed
        self._buffers: dict[str, torch.Tensor] = {}

    @contextmanager
    def activate(self, sample: int | None) -> Iterator[None]:
        """Swap the merged weights in, and the base weights back at the end."""
        with self._swapped(self._layers, sample), self._adapted.disable_adapter(), torch.no_grad():
            yield

    @contextmanager
    def only(self, name: str) -> Iterator[None]:
        """Swap the merged weights of the plain adapter into one layer, whose adapter stays on."""
        with self._swapped([name], None):
            yield

    @contextmanager
    def _swapped(self, names: Iterable[str], sample: int | None) -> Iterator[None]:
        originals: dict[str, torch.Tensor] = {}
        try:
            for name in names:
                layer = self._layers[name]
                base: Any = layer.get_base_layer()
                originals[name] = base.weight.data
                base.weight.data = self._merged(name, layer, base.weight.data, sample)
            yield
        finally:
            for name, weight in originals.items():
                base = self._layers[name].get_base_layer()
                base.weight.data = weight

    def _merged(self, name: str, layer: LoraLayer, weight: torch.Tensor, sample: int | None) -> torch.Tensor:
        a, b = layer.lora_A[ADAPTER_NAME].weight.data, layer.lora_B[ADAPTER_NAME].weight.data
        mask = None
        if sample is not None:
            mask = column_mask(self._seed, sample, name, a.shape[1], self._dropout)
        if name not in self._buffers:
            self._buffers[name] = torch.empty_like(weight)
        buffer = self._buffers[name]
        if getattr(layer, "fan_in_fan_out", False):  # GPT-2 stores inputs × outputs
            return merged_weight(weight.T, a, b, layer.scaling[ADAPTER_NAME], mask, buffer.T).T
        return merged_weight(weight, a, b, layer.scaling[ADAPTER_NAME], mask, buffer)


class UnmergedSamples:
    """The same weight samples as masks on A's input: for quantised bases, and the slow reference in tests.

    Args:
        adapted: The model with its adapter.
        dropout: p.
        seed: Seed of the masks.
    """

    def __init__(self, adapted: PeftModel, dropout: float, seed: int) -> None:
        self._layers = lora_layers(adapted)
        self._dropout = dropout
        self._seed = seed

    @contextmanager
    def activate(self, sample: int | None) -> Iterator[None]:
        """Put fixed masks where dropout was."""
        previous = {name: layer.lora_dropout[ADAPTER_NAME] for name, layer in self._layers.items()}
        try:
            if sample is not None:
                for name, layer in self._layers.items():
                    a = layer.lora_A[ADAPTER_NAME].weight
                    mask = column_mask(self._seed, sample, name, a.shape[1], self._dropout)
                    layer.lora_dropout[ADAPTER_NAME] = _FixedMask(mask.to(a.device))
            with torch.no_grad():
                yield
        finally:
            for name, layer in self._layers.items():
                layer.lora_dropout[ADAPTER_NAME] = previous[name]


class SwappedSamples:
    """Samples that are other values of A or B: an ensemble's members, or draws of a distribution over weights.

    They are mergeable, as plain adapters are.

    Args:
        adapted: The model with its adapter.
        plain: Puts the adapter without dropout into effect.
        weights: Returns sample k as tensors by the name of :func:`~activelora.modeling.lora.weights_by_name`.
    """

    def __init__(
        self, adapted: PeftModel, plain: Sampler, weights: Callable[[int], Mapping[str, torch.Tensor]]
    ) -> None:
        self._parameters = weights_by_name(adapted)
        self._plain = plain
        self._weights = weights

    @contextmanager
    def activate(self, sample: int | None) -> Iterator[None]:
        """Put the sample's values in the adapter's place, and the adapter's back at the end."""
        previous = {}
        try:
            for name, value in {} if sample is None else self._weights(sample).items():
                parameter = self._parameters[name]
                previous[name] = parameter.data
                parameter.data = value.to(parameter)
            with self._plain.activate(None):
                yield
        finally:
            for name, value in previous.items():
                self._parameters[name].data = value


TOKEN_BY_TOKEN = (NoAdapter, BaseAlone, MergedSamples, UnmergedSamples, SwappedSamples)
"""Samples under which each token goes through a linear layer for itself, whichever others do."""


class TokenSamples:
    """peft's own dropout, a fresh mask for every token: for replicating published results.

    The draws depend on how items are batched, which the campaign fixes.

    Args:
        adapted: The model with its adapter.
        seed: Seed of the draws.
    """

    def __init__(self, adapted: PeftModel, seed: int) -> None:
        self._dropouts = [layer.lora_dropout[ADAPTER_NAME] for layer in lora_layers(adapted).values()]
        self._seed = seed

    @contextmanager
    def activate(self, sample: int | None) -> Iterator[None]:
        """Switch on the adapter's dropout, and nothing else's."""
        if sample is None:
            with torch.no_grad():
                yield
            return
        for module in self._dropouts:
            module.train()
        try:
            with torch.random.fork_rng(), torch.no_grad():
                torch.manual_seed(derive_seed(self._seed, "token", sample))
                yield
        finally:
            for module in self._dropouts:
                module.eval()


def weight_sampler(adapted: PeftModel, config: CampaignConfig, seed: int) -> Sampler:
    """Return the sampler of dropout masks that are the same for every item: merged, where that does the same.

    What counts is what the loaded layers are: a checkpoint may be quantised without the campaign's doing.
    """
    kind = MergedSamples if _merges_exactly(adapted) else UnmergedSamples
    return kind(adapted, config.adapter.dropout, seed)


_DENSE = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@torch.no_grad()
def _merges_exactly(adapted: PeftModel) -> bool:
    """Compare a layer of each kind with its merged weights on numbers; quantised weights cannot be merged into.

    What counts is what the loaded layers are: they are quantised by the checkpoint too, not by the campaign alone.
    Weights that other layers have too are not merged into at all: they would change there.
    """
    layers = lora_layers(adapted)
    uses = Counter(id(parameter) for _, parameter in adapted.named_parameters(remove_duplicate=False))
    if any(uses[id(layer.get_base_layer().weight)] > 1 for layer in layers.values()):
        return False
    weights = [layer.get_base_layer().weight for layer in layers.values()]
    if any(weight.dtype not in _DENSE for weight in weights):
        return False
    kinds = {(type(layer), type(layer.get_base_layer())): name for name, layer in layers.items()}
    merged = MergedSamples(adapted, 0.0, 0)
    for name in kinds.values():
        layer: Any = layers[name]
        weight = layer.get_base_layer().weight
        width = layer.lora_A[ADAPTER_NAME].weight.shape[1]
        inputs = torch.linspace(-1.0, 1.0, 2 * width, device=weight.device, dtype=weight.dtype).view(2, width)
        expected = layer(inputs)
        try:
            with merged.only(name):
                found = layer.get_base_layer()(inputs)
        except RuntimeError:
            return False
        close = 1e-4 if weight.dtype == torch.float32 else 0.1
        if expected.shape != found.shape or (expected - found).abs().max() > close * expected.abs().max():
            return False
    return True


class _FixedMask(nn.Module):
    def __init__(self, mask_I: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask_I, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask: Any = self.mask
        masked: torch.Tensor = x * mask.to(x.dtype)
        return masked
