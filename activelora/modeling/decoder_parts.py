"""The parts of a causal language model's decoder, whatever a family calls them.

Llama names its layers ``layers`` and the norm after them ``norm``; GPT-2 says ``h`` and ``ln_f``, MPT ``blocks`` and
``norm_f``, and OPT's are one module further in. All have the same parts in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
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
