"""Checkpoints that hold quantised weights: which of them run, and as what."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from activelora.errors import ModelError
from activelora.modeling.headers import TensorHeader

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from activelora.config import ModelConfig

Form = Literal["8bit", "4bit"]
_OWN = "bitsandbytes"
_UNNAMED = "an unnamed method"
_PLAIN = ("fp8", "mxfp4")
"""Methods whose weights transformers can read as plain numbers, on any machine."""
_BESIDE = (
    ".absmax", ".nested_absmax", ".quant_map", ".nested_quant_map", ".weight_format", ".SCB",
    "_scales", "_scale_inv", ".activation_scale", ".input_scale",
)  # fmt: skip
"""What is stored beside a quantised weight."""


@dataclass(frozen=True)
class Stored:
    """How a checkpoint's weights are quantised.

    Attributes:
        method: transformers' name of the method.
        form: How the model has them when it is loaded, in ``model.quantization``'s words; None as plain numbers.
    """

    method: str
    form: Form | None


def stored_of(settings: PreTrainedConfig, config: ModelConfig) -> Stored | None:
    """Return how a checkpoint's weights are quantised, or None where they are not.

    Args:
        settings: The model's configuration.
        config: The model section.

    Raises:
        ModelError: The method does not run here, or does not go with ``model.quantization``.
    """
    said = declared(settings)
    if not said:
        return None
    form: Form | None = "4bit" if said.get("load_in_4bit") else "8bit" if said.get("load_in_8bit") else None
    method = str(said.get("quant_method") or (_OWN if form else _UNNAMED))
    stored = Stored(method, form if method == _OWN else None)
    if stored.form is None and method not in _PLAIN:
        raise ModelError(
            f"its weights are quantised by {method}, which is not supported",
            where=f"model.base: {config.base}",
            remedy="Use the checkpoint that is not quantised; model.quantization quantises it when it is loaded.",
        )
    if config.quantization not in ("none", stored.form):
        allowed = f"{stored.form} or none" if stored.form else "none"
        raise ModelError(
            f"the checkpoint's weights are quantised already ({stored.form or method})",
            where=f"model.quantization: {config.quantization}",
            remedy=f"Set it to {allowed}, or use the checkpoint that is not quantised.",
        )
    return stored


def form_of(settings: PreTrainedConfig, config: ModelConfig) -> Form | None:
    """Return in which form a loaded model has weights that its checkpoint quantised; None for plain numbers.

    Args:
        settings: The model's configuration.
        config: The model section.

    Raises:
        ModelError: See :func:`stored_of`.
    """
    stored = stored_of(settings, config)
    return stored.form if stored else None


def as_plain_numbers(stored: Stored) -> Any:
    """Return transformers' option by which quantised weights are loaded as plain numbers.

    Args:
        stored: How they are quantised: a method that is read so.
    """
    from transformers import FineGrainedFP8Config, Mxfp4Config

    options: dict[str, Callable[..., Any]] = {"fp8": FineGrainedFP8Config, "mxfp4": Mxfp4Config}
    return options[stored.method](dequantize=True)


def is_quantized(model: PreTrainedModel) -> bool:
    """Tell whether a loaded model has quantised weights, from the checkpoint or by ``model.quantization``.

    Args:
        model: The model.
    """
    return bool(getattr(model, "is_quantized", False))


def unpacked(headers: Mapping[str, TensorHeader], own: Mapping[str, Any]) -> dict[str, TensorHeader]:
    """Return headers as if the weights were not quantised: of packed ones only the names are compared.

    Args:
        headers: What the files of a quantised checkpoint say.
        own: The model's tensors by name.
    """
    packed = packed_names(headers)
    found = {}
    for name, header in headers.items():
        if is_beside(name):
            continue
        plain = name.removesuffix("_blocks")
        if name in packed and plain in own:
            found[plain] = TensorHeader("F32", tuple(own[plain].shape))
        else:
            found[name] = TensorHeader("F32", header.shape) if header.dtype.startswith("F8") else header
    return found


def num_values(headers: Mapping[str, TensorHeader]) -> int:
    """Return the number of a model's values, of which quantisation may have packed two into a byte.

    Args:
        headers: What the files say of their tensors.
    """
    halves = {name for name in packed_names(headers) if name.removesuffix("weight") + "SCB" not in headers}
    sizes = ((name, math.prod(header.shape)) for name, header in headers.items() if not is_beside(name))
    return sum(2 * size if name in halves else size for name, size in sizes)


def packed_names(headers: Mapping[str, TensorHeader]) -> set[str]:
    """Return the names of tensors whose shape is that of packed bytes.

    Args:
        headers: What the files say of their tensors.
    """
    packed = {name.removesuffix(".absmax") for name in headers if name.endswith(".absmax")}
    packed |= {f"{name.removesuffix('SCB')}weight" for name in headers if name.endswith(".SCB")}
    blocks = {name for name in headers if name.endswith("_blocks")}
    return packed | {name for name in blocks if f"{name.removesuffix('_blocks')}_scales" in headers}


def is_beside(name: str) -> bool:
    """Tell whether a tensor is stored beside a quantised weight.

    Args:
        name: The tensor's name.
    """
    return name.endswith(_BESIDE) or ".quant_state." in name


def declared(settings: PreTrainedConfig) -> dict[str, Any]:
    """Return what a configuration says of quantisation; nothing where it says none.

    Args:
        settings: The model's configuration.
    """
    parts = (settings, settings.get_text_config(decoder=True))
    for value in (getattr(part, key, None) for part in parts for key in ("quantization_config", "compression_config")):
        if value is not None:  # transformers takes an empty one for a method too
            content = value if isinstance(value, dict) else getattr(value, "to_dict", dict)()
            return dict(content) or {"quant_method": _UNNAMED}
    return {}
