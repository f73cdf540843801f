"""What made weights differ from their model, and what to do about it, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from activelora.errors import ModelError
from activelora.modeling.prequantized import declared
from activelora.modeling.weights_check import Differences, layer_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_SHOWN = 3
_WRAPPERS = {
    "_orig_mod": ("a model compiled by torch.compile", "Save the model itself, model._orig_mod"),
    "_fsdp_wrapped_module": ("a model under FSDP", "Save its full state dict without the wrapper"),
    "_checkpoint_wrapped_module": ("layers under activation checkpointing", "Save it without the wrapper"),
    "_forward_module": ("a training framework's wrapper", "Save the model inside it"),
    "module": ("a model under DataParallel or DistributedDataParallel", "Save the model itself, model.module"),
}
_PEFT_PARTS = ("base_layer", "lora_A", "lora_B", "lora_embedding_A", "modules_to_save")
_PEFT = (
    "They are of a peft model that is not merged: save model.merge_and_unload() with save_pretrained, or name its base "
    "model."
)
_SCALES = (".SCB", ".absmax", ".scales", "_scales", "_scale_inv", "_scale", ".qzeros")
_OTHER_HEADS = (
    "score",
    "classifier",
    "classification_head",
    "qa_outputs",
    "cls",
    "pooler",
    "reward_head",
    "value_head",
)
_TOGETHER = "Save config.json and weights together, with transformers' save_pretrained."


def refusal(found: Differences, settings: PreTrainedConfig, where: str) -> ModelError:
    """Return the error that names what differs, and the remedy for what made it.

    Args:
        found: What differs.
        settings: The model's configuration.
        where: The setting that names the model.
    """
    return ModelError(
        f"the weights are not this model's own: {_said(found)}", where=where, remedy=remedy(found, settings)
    )


def remedy(found: Differences, settings: Any) -> str:
    """Return what to do about weights that differ.

    Args:
        found: What differs.
        settings: The model's configuration.
    """
    return (
        _of_wrapper(found)
        or _of_quantisation(found, settings)
        or _of_other_task(found, settings)
        or _of_layers(found, settings)
        or _of_vocabulary(found, settings)
        or _of_prefix(found)
        or (f"config.json is of another model than the weights, or the files are not whole. {_TOGETHER}")
    )


def _said(found: Differences) -> str:
    parts = []
    if found.missing:
        count = f"of its {len(found.names)} parameters {len(found.missing)}"
        parts.append(f"{count} {_is(found.missing)} missing and would be random ({_few(found.missing)})")
    if found.mismatched:
        shapes = [f"{name} is {list(there)} and must be {list(own)}" for name, there, own in found.mismatched]
        parts.append(f"{len(shapes)} {_is(shapes)} of another shape ({_few(shapes)})")
    if found.unconverted:
        parts.append(f"{len(found.unconverted)} cannot be made of what is there ({_few(found.unconverted)})")
    if found.unexpected:
        count = "1 tensor has" if len(found.unexpected) == 1 else f"{len(found.unexpected)} tensors have"
        parts.append(f"{count} no place in it ({_few(found.unexpected)})")
    return "; ".join(parts)


def _is(those: Sequence[str]) -> str:
    return "is" if len(those) == 1 else "are"


def _few(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _of_wrapper(found: Differences) -> str | None:
    parts = [name.split(".") for name in found.unexpected]
    if any(part in name for name in parts for part in _PEFT_PARTS) or any(
        name[:2] == ["base_model", "model"] for name in parts
    ):
        return _PEFT
    for word, (what, how) in _WRAPPERS.items():
        if any(word == name[0] or (word != "module" and word in name) for name in parts):
            return (
                f"The prefix `{word}.` is of {what}. {how}, with save_pretrained, or take `{word}.` out of the names."
            )
    return None


def _of_quantisation(found: Differences, settings: Any) -> str | None:
    """Return words where scales tell of a method that the configuration does not name."""
    if not any(name.endswith(_SCALES) for name in found.unexpected):
        return None
    if said := declared(settings):
        return (
            f"Their scales have other names than `{said.get('quant_method')}` in config.json gives them: use the "
            "checkpoint that is not quantised; model.quantization quantises it when it is loaded."
        )
    return (
        "They are quantised, and config.json has no quantization_config that says how: use the checkpoint that is not "
        "quantised; model.quantization quantises it when it is loaded."
    )


def _of_other_task(found: Differences, settings: Any) -> str | None:
    saved_as = [name for name in getattr(settings, "architectures", None) or () if "CausalLM" not in name]
    heads = [name for name in found.unexpected if name.split(".")[0] in _OTHER_HEADS]
    if not heads and not (found.missing == ("lm_head.weight",) and saved_as):
        return None
    what = f" ({saved_as[0]})" if saved_as else ""
    return (
        f"They were saved of a model for another task{what}, without a head over the vocabulary: use the model "
        "that it was made from, or one that was saved as a causal language model."
    )


def _of_layers(found: Differences, settings: Any) -> str | None:
    """Return words where the configuration names more or fewer layers than there are."""
    declared = settings.get_text_config(decoder=True).num_hidden_layers
    inside = {layer for name in found.missing if (layer := layer_of(name)) is not None}
    whole = {layer for layer in inside if all(name in found.missing for name in _in_layer(found, layer))}
    there = declared - len(whole)
    if whole and whole == inside == set(range(there, declared)) and there and not found.mismatched:
        return (
            f"config.json says num_hidden_layers {declared}, and the weights hold {there} layers: set it to {there} if "
            "that is the model, or fetch the weights that are missing."
        )
    beyond = [layer for name in found.unexpected if (layer := layer_of(name)) is not None]
    if beyond and min(beyond) >= declared and not found.missing:
        more = max(beyond) + 1
        said = f"config.json says num_hidden_layers {declared}, and the weights hold {more} layers"
        return f"{said}: set it to {more} if that is the model."
    return None


def _in_layer(found: Differences, layer: int) -> list[str]:
    return [name for name in found.names if layer_of(name) == layer]


def _of_vocabulary(found: Differences, settings: Any) -> str | None:
    """Return words where only the number of tokens differs."""
    own = settings.get_text_config(decoder=True).vocab_size
    rows = {there[0] for _, there, needed in found.mismatched if there and needed[:1] == (own,)}
    if len(rows) != 1 or any(there[1:] != needed[1:] for _, there, needed in found.mismatched):
        return None
    return (
        f"config.json says vocab_size {own}, and the weights hold {rows.pop()} tokens: the vocabulary was resized "
        f"after one of them was saved. {_TOGETHER}"
    )


def _of_prefix(found: Differences) -> str | None:
    """Return words where names only begin otherwise."""
    missing = set(found.missing)
    prefixes: Counter[str] = Counter()
    for name in found.unexpected:
        parts = name.split(".")
        for start in range(1, len(parts)):
            if ".".join(parts[start:]) in missing:
                prefixes[".".join(parts[:start])] += 1
                break
    if not prefixes or prefixes.most_common(1)[0][1] * 2 < len(missing):
        return None
    prefix = prefixes.most_common(1)[0][0]
    return f"Names begin with `{prefix}.`, and the model's do not: save the model inside it, with save_pretrained."
