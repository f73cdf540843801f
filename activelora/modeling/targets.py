"""Which of a model's layers carry an adapter: linear layers of the text decoder, and no others.

A name such as ``gate_proj`` may be that of a vision tower's layer too, of an expert's or of a router's: what is wanted
is found by full path, and written to the adapter by short names only where these say the same.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from activelora.config import AdapterConfig
from activelora.errors import ModelError
from activelora.modeling.decoder_parts import DecoderParts, decoder_parts
from activelora.modeling.methods.registry import METHODS

_QUANTISED = ("Linear4bit", "Linear8bitLt")
_ROUTERS = ("gate", "router", "shared_expert_gate", "wg")
_EXPERTS_CLASS = re.compile(r"Expert|Moe|MoE")
_ROUTER_CLASS = re.compile(r"Router|Gating|Gate$")
ROUTERS, EXPERTS, RECURRENT, TAKEN = (
    "routers",
    "fused experts",
    "parts that a state-space layer's kernel reads past any adapter",
    "layers named as the experts, which peft would adapt in their place",
)


@dataclass(frozen=True)
class Targets:
    """The layers to adapt.

    Attributes:
        names: What ``adapter_config.json`` is to say: last parts of names, or full paths.
        paths: Full paths of the modules, in the model's order.
        transposed: Whether their weights are stored as inputs × outputs, as GPT-2's are.
        left_out: What `all-linear` leaves as it is, in words; empty where it is nothing that one would miss.
    """

    names: tuple[str, ...]
    paths: tuple[str, ...]
    transposed: bool
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Layer:
    """A linear layer, by its path, its name, and why it may carry no adapter (empty: it may)."""

    path: str
    name: str
    module: nn.Module
    number: int
    reason: str


def find_targets(model: PreTrainedModel, config: AdapterConfig, first: int) -> Targets:
    """Return the layers that a campaign's adapter section names.

    Args:
        model: The causal language model, with its weights or on the meta device.
        config: The adapter section.
        first: L0, the index of the first transformer layer that may carry an adapter.

    Raises:
        ModelError: A target names no linear layer, or one that cannot carry an adapter.
    """
    parts = decoder_parts(model)
    layers = list(_linear_layers(model, parts))
    usable = {layer.name for layer in layers if not layer.reason}
    head = _head(model, config)
    if config.targets == "all-linear":
        wanted = usable
    else:
        _check_names(config.targets, layers, usable, head)
        wanted = set(config.targets)
    chosen = [
        layer
        for layer in layers
        if layer.name in wanted and layer.number >= first and (not layer.reason or _asked_for(layer, config))
    ]
    if not chosen and head not in wanted:
        raise _none_left(layers, first, config)
    paths = tuple(layer.path for layer in chosen) + ((_path_of(model, head),) if head in wanted else ())
    kinds = {isinstance(layer.module, Conv1D) for layer in chosen}
    left_out = tuple(_left_out(parts, layers)) if config.targets == "all-linear" else ()
    names = tuple(sorted(wanted)) if config.targets == "all-linear" else tuple(config.targets)
    layer_numbers = list(range(first, len(parts.layers))) if first else None
    short = _matched(model, names, layer_numbers) == set(paths)
    return Targets(names if short else paths, paths, kinds == {True}, left_out)


def _linear_layers(model: PreTrainedModel, parts: DecoderParts) -> Iterator[_Layer]:
    """Yield the linear layers of all transformer layers; one that several share once, in the first of them."""
    root = next(name for name, module in model.named_modules() if module is parts.decoder)
    prefix = f"{root}.{parts.layers_name}" if root else parts.layers_name
    found = []
    for number, layer in enumerate(parts.layers):
        for inner, module in layer.named_modules():
            if _is_linear(module):
                owner = layer.get_submodule(inner.rpartition(".")[0])
                found.append((f"{prefix}.{number}.{inner}", module, number, owner))
    taken = _taken(model, {path.rpartition(".")[2] for path, *_ in found})
    seen: set[int] = set()
    for path, module, number, owner in found:
        if id(module) in seen:
            continue
        seen.add(id(module))
        name = path.rpartition(".")[2]
        yield _Layer(path, name, module, number, _reason(name, module, owner, taken))


def _reason(name: str, module: nn.Module, owner: nn.Module, taken: set[str]) -> str:
    """Return why a linear layer may carry no adapter, or nothing."""
    if name in _ROUTERS or _ROUTER_CLASS.search(type(module).__name__) or _ROUTER_CLASS.search(type(owner).__name__):
        return ROUTERS
    own: Any = owner
    if isinstance(getattr(own, "A_log", None), nn.Parameter) and isinstance(getattr(own, "D", None), nn.Parameter):
        return "" if name == "in_proj" else RECURRENT
    return TAKEN if name in taken else ""


def _asked_for(layer: _Layer, config: AdapterConfig) -> bool:
    """Tell whether a layer that `all-linear` leaves out carries an adapter because it is named."""
    return config.targets != "all-linear" and layer.reason == ROUTERS and type(layer.module) is nn.Linear


def _taken(model: PreTrainedModel, names: Iterable[str]) -> set[str]:
    """Return the names that peft takes for experts, which transformers 5 holds in one parameter for all.

    peft then adapts that parameter, whichever layers have the name now.
    """
    if not any(parameter.dim() == 3 for parameter in model.parameters()):
        return set()
    taken = set()
    for name in names:
        config = LoraConfig(target_modules=[name])
        try:
            convert_peft_config_for_transformers(config, model=model, conversions=None)
        except ValueError:  # it wants two names that were fused into one
            taken.add(name)
            continue
        if name not in config.target_modules:
            taken.add(name)
    return taken


def _matched(model: PreTrainedModel, names: Sequence[str], layer_numbers: list[int] | None) -> set[str]:
    """Return the modules that peft would adapt for some names."""
    config = LoraConfig(target_modules=list(names), layers_to_transform=copy.copy(layer_numbers))
    return {name for name, _ in model.named_modules() if name and check_target_module_exists(config, name)}


def _left_out(parts: DecoderParts, layers: Sequence[_Layer]) -> Iterator[str]:
    """Yield what no adapter is put on, with the names of the layers."""
    routers = {layer.name for layer in layers if layer.reason == ROUTERS}
    fused = set()
    for layer in parts.layers:
        for name, module in layer.named_modules():
            if _is_linear(module):
                continue
            if _ROUTER_CLASS.search(type(module).__name__) and any(True for _ in module.parameters(recurse=False)):
                routers.add(name.rpartition(".")[2])
            if _EXPERTS_CLASS.search(type(module).__name__):
                fused |= {inner for inner, one in module.named_parameters(recurse=False) if one.dim() == 3}
    kinds = {ROUTERS: routers, EXPERTS: fused}
    for reason in (TAKEN, RECURRENT):
        kinds[reason] = {layer.name for layer in layers if layer.reason == reason}
    for reason, names in kinds.items():
        if names:
            yield f"{reason} ({', '.join(sorted(names))})"


def _check_names(targets: Sequence[str], layers: Sequence[_Layer], usable: set[str], head: str | None) -> None:
    known = sorted(usable) + ([head] if head else [])
    for target in targets:
        found = [layer for layer in layers if layer.name == target]
        reasons = {layer.reason for layer in found if layer.reason}
        if target in known or any(layer.reason == ROUTERS and type(layer.module) is nn.Linear for layer in found):
            continue
        if reasons:
            raise ModelError(
                f"{target} can carry no adapter here: it names {reasons.pop()}",
                where="adapter.targets",
                remedy=f"Leave it out. These can: {', '.join(known)}.",
            )
    unknown = [target for target in targets if target not in known and all(layer.name != target for layer in layers)]
    if unknown:
        raise ModelError(
            f"the model has no linear layer named {', '.join(unknown)}",
            where="adapter.targets",
            remedy=f"It has: {', '.join(known)}.",
        )


def _none_left(layers: Sequence[_Layer], first: int, config: AdapterConfig) -> ModelError:
    if first and any(not layer.reason for layer in layers):
        return ModelError(
            f"none of the last {config.last_layers} layers has a linear layer that can carry an adapter"
            + ("" if config.targets == "all-linear" else f" and is named {', '.join(config.targets)}"),
            where=f"adapter.last_layers: {config.last_layers}",
            remedy="Raise it, or leave it out to adapt all layers.",
        )
    return ModelError(
        "the model has no linear layer that can carry an adapter",
        where="model.base",
        remedy="Use a decoder such as Llama, Qwen, Mistral, Gemma or SmolLM.",
    )


def _head(model: PreTrainedModel, config: AdapterConfig) -> str | None:
    """Return the output head's name where the method may adapt it.

    Raises:
        ModelError: It is named beside `last_layers`: peft would leave it out without a word.
    """
    method = METHODS.get(config.method)
    if method is None or not method.adapts_head:
        return None
    output = model.get_output_embeddings()
    name: str = next(name.rsplit(".", 1)[-1] for name, module in model.named_modules() if module is output)
    if config.last_layers is not None and name in config.targets:
        raise ModelError(
            f"the output head {name} is in none of the last {config.last_layers} layers",
            where="adapter.targets",
            remedy=f"Leave {name} out, or leave out adapter.last_layers.",
        )
    return name


def _path_of(model: PreTrainedModel, head: str | None) -> str:
    output = model.get_output_embeddings()
    return next((name for name, module in model.named_modules() if module is output), head or "")


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, (nn.Linear, Conv1D)) or type(module).__name__ in _QUANTISED
