"""Where a decoder keeps its transformer layers: families differ in the names of their parts only."""

from __future__ import annotations

from typing import Any

from torch import nn

from activelora.errors import ModelError

_USUAL = ("layers", "h", "blocks")


def layers_place(decoder: nn.Module) -> tuple[nn.Module, str]:
    """Return the module that holds the list of a decoder's layers, and the list's name in it.

    Raises:
        ModelError: There is no such list.
    """
    for name in _USUAL:
        if isinstance(getattr(decoder, name, None), nn.ModuleList):
            return decoder, name
    config: Any = getattr(decoder, "config", None)
    num_layers = getattr(config, "num_hidden_layers", None)
    for name, module in decoder.named_modules():
        if name and isinstance(module, nn.ModuleList) and num_layers in (None, len(module)):
            owner, _, attribute = name.rpartition(".")
            return decoder.get_submodule(owner), attribute
    raise ModelError(
        f"{type(decoder).__name__} has no list of {num_layers} transformer layers, so it cannot be adapted here",
        where="model.base",
        remedy="Use a decoder such as Llama, Qwen, Mistral, Gemma or SmolLM.",
    )


def layers_of(decoder: nn.Module) -> nn.ModuleList:
    """Return a decoder's transformer layers.

    Raises:
        ModelError: It has no list of them.
    """
    owner, name = layers_place(decoder)
    layers: nn.ModuleList = getattr(owner, name)
    return layers
