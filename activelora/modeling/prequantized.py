"""Checkpoints that hold quantised weights: which of them run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from activelora.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import PreTrainedConfig, PreTrainedModel

    from activelora.config import ModelConfig
    from activelora.modeling.headers import TensorHeader

Form = Literal["8bit", "4bit"]
_OWN = "bitsandbytes"
_STATES = (".absmax", ".nested_absmax", ".quant_map", ".nested_quant_map", ".weight_format", ".SCB")
"""What bitsandbytes stores beside a weight."""


def form_of(settings: PreTrainedConfig, config: ModelConfig) -> Form | None:
    """Return the form of a checkpoint's quantised weights, in ``model.quantization``'s words, or None.

    Args:
        settings: The model's configuration.
        config: The model section.

    Raises:
        ModelError: They are of a method that does not run here, or of another form than ``model.quantization``.
    """
    declared = _declared(settings)
    if not declared:
        return None
    form: Form | None = "4bit" if declared.get("load_in_4bit") else "8bit" if declared.get("load_in_8bit") else None
    method = str(declared.get("quant_method") or (_OWN if form else "an unnamed method"))
    if method != _OWN or form is None:
        raise ModelError(
            f"its weights are quantised by {method}, which is not supported",
            where=f"model.base: {config.base}",
            remedy="Use the checkpoint that is not quantised; model.quantization quantises it when it is loaded.",
        )
    if config.quantization not in ("none", form):
        raise ModelError(
            f"the checkpoint's weights are in {form} already ({_OWN})",
            where=f"model.quantization: {config.quantization}",
            remedy=f"Set it to {form} or none, or use the checkpoint that is not quantised.",
        )
    return form


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
    from activelora.modeling.headers import TensorHeader

    packed = {name.removesuffix(".absmax") for name in headers if name.endswith(".absmax")}
    packed |= {f"{name.removesuffix('SCB')}weight" for name in headers if name.endswith(".SCB")}
    found = {}
    for name, header in headers.items():
        if name.endswith(_STATES) or ".quant_state." in name:
            continue
        is_known = name in packed and name in own
        found[name] = TensorHeader("F32", tuple(own[name].shape)) if is_known else header
    return found


def _declared(settings: PreTrainedConfig) -> dict[str, Any]:
    parts = (settings, settings.get_text_config(decoder=True))
    for value in (getattr(part, key, None) for part in parts for key in ("quantization_config", "compression_config")):
        if value:
            return dict(value) if isinstance(value, dict) else dict(value.to_dict())
    return {}
