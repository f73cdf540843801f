"""The parts of a causal language model's decoder, whatever a family calls them.

Llama names its layers ``layers`` and the norm after them ``norm``; GPT-2 says ``h`` and ``ln_f``, MPT ``blocks`` and
``norm_f``, and OPT's are one module further in. All have the same parts in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from activelora.errors import ModelError

NORMS = (
    "norm",
    "final_layernorm",
    "final_layer_norm",
    "final_norm",
    "ln_f",
    "norm_f",
    "ln_out",
    "layer_norm",
    "layernorm",
    "embedding_norm",
)
"""Names of the norm after the last layer; ``embedding_norm`` is LFM2's word for it."""
_ATTENTIONS = ("self_attn", "self_attention", "attention", "attn")
_NUMBERS = ("layer_idx", "layer_id")
_INNER = ("model", "decoder", "transformer")


@dataclass(frozen=True)
class DecoderParts:
    """Where the parts are.

    Attributes:
        decoder: The module that runs embeddings, layers and norm, and returns their ``last_hidden_state``.
        layers_name: Its attribute that holds the layers.
        norm_name: Its attribute that holds the norm after them; empty where there is none.
    """

    decoder: nn.Module
    layers_name: str
    norm_name: str

    @property
    def layers(self) -> nn.ModuleList:
        """The layers, in the order in which they run."""
        found: nn.ModuleList = getattr(self.decoder, self.layers_name)
        return found

    @property
    def norm(self) -> nn.Module:
        """The norm after the last layer, or the identity."""
        found: nn.Module | None = getattr(self.decoder, self.norm_name, None) if self.norm_name else None
        return nn.Identity() if found is None else found

    @property
    def embeddings(self) -> nn.Module:
        """The token embeddings."""
        decoder: Any = self.decoder
        found: nn.Module = decoder.get_input_embeddings()
        return found

    @contextmanager
    def only(self, begin: int, end: int, with_norm: bool) -> Iterator[nn.ModuleList]:
        """Let the decoder see only some of its layers, and its norm or none.

        Args:
            begin: Index of the first layer.
            end: Index after the last one.
            with_norm: Whether the norm follows them.
        """
        layers, norm = self.layers, getattr(self.decoder, self.norm_name, None) if self.norm_name else None
        part = layers[begin:end]
        setattr(self.decoder, self.layers_name, part)
        if norm is not None and not with_norm:
            setattr(self.decoder, self.norm_name, nn.Identity())
        try:
            yield part
        finally:
            setattr(self.decoder, self.layers_name, layers)
            if norm is not None:
                setattr(self.decoder, self.norm_name, norm)


def decoder_parts(model: PreTrainedModel) -> DecoderParts:
    """Return the parts of the model's text decoder.

    Args:
        model: A causal language model, alone or with towers for pictures and sound.

    Raises:
        ModelError: It has no row of layers that run one after the other.
    """
    num_layers = int(getattr(text_config(model), "num_hidden_layers", 0))
    for decoder in _candidates(model):
        names = [
            name
            for name, child in decoder.named_children()
            if isinstance(child, nn.ModuleList) and len(child) == num_layers
        ]
        if len(names) == 1 and callable(getattr(decoder, "get_input_embeddings", None)):
            return DecoderParts(decoder, names[0], _norm_name(decoder))
    raise ModelError(
        f"{type(model).__name__} is an architecture that cannot be adapted here: it has no row of {num_layers} layers",
        where="model.base",
        remedy="Use a decoder such as Llama, Qwen, Mistral, Gemma or SmolLM.",
    )


def text_config(model: PreTrainedModel) -> Any:
    """Return the configuration of the text decoder, also where it is inside that of a model for pictures."""
    return model.config.get_text_config(decoder=True)


def renumber(layer: nn.Module, number: int) -> None:
    """Tell the modules of a layer which layer they are in: by that they find their entry in a cache."""
    for module in layer.modules():
        for name in _NUMBERS:
            if isinstance(getattr(module, name, None), int):
                setattr(module, name, number)


def attention_of(layer: nn.Module) -> nn.Module | None:
    """Return a layer's attention, or None where it has none, or under another name."""
    for name in _ATTENTIONS:
        found = getattr(layer, name, None)
        if isinstance(found, nn.Module):
            inner = getattr(found, "attention", None)  # GPT-Neo's holds one of two kinds
            return inner if isinstance(inner, nn.Module) else found
    return None


def output_projection(attention: nn.Module) -> nn.Module | None:
    """Return the linear layer that an attention ends with: the last of its children that is one."""
    for name in ("o_proj", "out_proj", "dense", "c_proj"):
        found = getattr(attention, name, None)
        if isinstance(found, nn.Module):
            return found
    return None


def _candidates(model: PreTrainedModel) -> Iterator[nn.Module]:
    """Yield modules that may be the decoder: what transformers says, and what lies inside."""
    seen: list[nn.Module] = []
    waiting: list[Any] = [model.get_decoder(), model.base_model]
    while waiting:
        module = waiting.pop(0)
        if not isinstance(module, nn.Module) or any(module is one for one in seen):
            continue
        seen.append(module)
        yield module
        waiting += [getattr(module, name, None) for name in _INNER]


def _norm_name(decoder: nn.Module) -> str:
    return next((name for name in NORMS if isinstance(getattr(decoder, name, None), nn.Module)), "")
