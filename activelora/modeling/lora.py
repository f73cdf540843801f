"""LoRA (Hu et al. 2021): attach, find, save and load adapters.

Adapters are plain peft: what is saved loads with ``PeftModel.from_pretrained``.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedModel

from activelora.config import AdapterConfig
from activelora.errors import ModelError
from activelora.modeling.base import BaseModel
from activelora.modeling.decoder_parts import text_config
from activelora.modeling.parallel import whole
from activelora.modeling.targets import Targets, find_targets

logger = logging.getLogger(__name__)

ADAPTER_NAME = "default"
WEIGHTS_FILE = "adapter_model.safetensors"
_MOST_SHOWN = 200
"""Letters of another library's message that are repeated."""


def first_adapted_layer(model: PreTrainedModel, config: AdapterConfig) -> int:
    """Return L0, the index of the first transformer layer that carries an adapter.

    Raises:
        ModelError: The model has fewer layers than `last_layers`.
    """
    num_layers = int(text_config(model).num_hidden_layers)
    if config.last_layers is None:
        return 0
    if config.last_layers > num_layers:
        raise ModelError(
            f"the model has only {num_layers} layers",
            where=f"adapter.last_layers: {config.last_layers}",
            remedy=f"Set it to {num_layers} or less, or leave it out to adapt all.",
        )
    return num_layers - config.last_layers


def check_adapter(model: PreTrainedModel, config: AdapterConfig) -> tuple[str, ...]:
    """Check that an adapter fits a model, whose weights need not be there.

    Returns:
        What `all-linear` leaves without an adapter, in words.

    Raises:
        ModelError: The model has fewer layers than `last_layers`, or a target names no linear layer of it, or one that
            cannot carry an adapter.
    """
    return find_targets(model, config, first_adapted_layer(model, config)).left_out


def attach(
    base: BaseModel, config: AdapterConfig, seed: int, kind: Callable[..., LoraConfig] = LoraConfig
) -> PeftModel:
    """Attach a fresh adapter: A random (seeded), B zero.

    Args:
        base: The base model; its modules are wrapped in place until :func:`detach`.
        config: The adapter section.
        seed: Seed of A.
        kind: Makes peft's configuration, from the arguments that all kinds of LoRA share.

    Raises:
        ModelError: A target names no linear layer of the model, or one that cannot carry an adapter.
    """
    first = first_adapted_layer(base.model, config)
    num_layers = int(text_config(base.model).num_hidden_layers)
    targets = find_targets(base.model, config, first)
    if targets.left_out:
        logger.info("without an adapter: %s", "; ".join(targets.left_out))
    peft_config = kind(
        r=config.rank,
        lora_alpha=cast(int, config.alpha),
        lora_dropout=config.dropout,
        target_modules=list(targets.names),
        layers_to_transform=list(range(first, num_layers)) if first else None,
        fan_in_fan_out=targets.transposed,
        bias="none",
        task_type="CAUSAL_LM",
    )
    devices = [base.device] if base.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), _given_back_on_failure(base), _quiet_peft():
        torch.manual_seed(seed)
        adapted = get_peft_model(base.model, peft_config)
    adapted.peft_config[ADAPTER_NAME].base_model_name_or_path = base.name
    _check_attached(adapted, targets)
    return cast(PeftModel, adapted)


def _check_attached(adapted: PeftModel, targets: Targets) -> None:
    """Refuse an adapter that is anywhere else than it was meant to be."""
    found = {name.removeprefix("base_model.model.") for name in lora_layers(adapted)}
    if found == set(targets.paths):
        return
    detach(adapted)
    one = min(found.symmetric_difference(targets.paths))
    raise ModelError(
        f"peft adapts other layers than were chosen, such as {one}",
        where="adapter.targets",
        remedy="Name the layers to adapt, or choose another model.base.",
    )


def save(adapted: PeftModel, folder: Path) -> None:
    """Write the adapter as safetensors with its configuration."""
    state = {name: whole(value) for name, value in adapted.state_dict().items() if "lora_" in name}
    # "auto" would ask the hub whether the vocabulary was resized.
    adapted.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False, state_dict=state)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card
    config_path = folder / "adapter_config.json"
    config = json.loads(config_path.read_text(encoding="utf-8"))
    # A set in peft: its order changes from process to process, and with it the file's digest.
    config["target_modules"] = sorted(config["target_modules"])
    config_path.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")


def load(base: BaseModel, folder: Path, trainable: bool = False) -> PeftModel:
    """Attach a saved adapter, in eval mode.

    Raises:
        ModelError: Its files are damaged, or it is of another base model. The base model is as it was before.
    """
    with _given_back_on_failure(base), _quiet_peft():
        try:
            adapted = PeftModel.from_pretrained(base.model, folder, is_trainable=trainable)
        except (RuntimeError, ValueError, KeyError, TypeError, OSError, SafetensorError) as error:
            raise _cannot_attach(base, folder, error) from error
    adapted.eval()
    return cast(PeftModel, adapted)


def _cannot_attach(base: BaseModel, folder: Path, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())[:_MOST_SHOWN] or type(error).__name__
    return ModelError(
        f"the adapter cannot be attached to the base model {base.name}: {reason}",
        where=str(folder),
        remedy="Restore its files as they were saved, or name the base model that it was trained on.",
    )


def detach(adapted: PeftModel) -> None:
    """Give the base model back as it was before :func:`attach` or :func:`load`.

    Not by peft's ``unload``, which makes a progress bar and, for it, a thread: where a process ends with a model open,
    that thread never begins, and the process waits for it without end.
    """
    _unwrap(adapted.get_base_model())


def _unwrap(model: nn.Module) -> None:
    """Put the layers that peft has wrapped back into their places, and take its mark, which it warns of, away."""
    wrapped = {name: one for name, one in model.named_modules() if isinstance(one, BaseTunerLayer)}
    for name in wrapped:
        if not any(name.startswith(f"{outer}.") for outer in wrapped):  # some are wrapped more than once
            model.set_submodule(name, wrapped[name].get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config


@contextmanager
def _given_back_on_failure(base: BaseModel) -> Iterator[None]:
    """Where peft fails midway, take out what it has put into the base model, which others in the process share."""
    required = {name for name, parameter in base.model.named_parameters() if parameter.requires_grad}
    try:
        yield
    except BaseException:
        _unwrap(base.model)
        for name, parameter in base.model.named_parameters():
            parameter.requires_grad_(name in required)
        raise


@contextmanager
def attached(adapted: PeftModel) -> Iterator[PeftModel]:
    """Detach at the end, whatever happens."""
    try:
        yield adapted
    finally:
        detach(adapted)


@contextmanager
def switched_off(model: nn.Module) -> Iterator[None]:
    """Run the base model alone: adapted layers pass their adapters by.

    Unlike peft's ``disable_adapter`` it leaves alone which parameters are trained, so that it can stand in a training.
    """
    layers = [one for one in model.modules() if isinstance(one, BaseTunerLayer)]
    were_off = [layer.disable_adapters for layer in layers]
    try:
        for layer in layers:
            layer._disable_adapters = True
        yield
    finally:
        for layer, was_off in zip(layers, were_off, strict=True):
            layer._disable_adapters = was_off


def lora_layers(adapted: PeftModel) -> dict[str, LoraLayer]:
    """Return the adapted layers by name, in the model's order."""
    return {name: module for name, module in adapted.named_modules() if isinstance(module, LoraLayer)}


def b_parameters(adapted: PeftModel) -> list[nn.Parameter]:
    """Return the B matrices, which STAR's constraint is about."""
    return [layer.lora_B[ADAPTER_NAME].weight for layer in lora_layers(adapted).values()]


def a_parameters(adapted: PeftModel) -> list[nn.Parameter]:
    """Return the A matrices."""
    return [layer.lora_A[ADAPTER_NAME].weight for layer in lora_layers(adapted).values()]


def weights_by_name(adapted: PeftModel) -> dict[str, nn.Parameter]:
    """Return A's and B's by the names that they have in the saved file, such as `….q_proj.lora_A.weight`."""
    found = {}
    for name, layer in lora_layers(adapted).items():
        found[f"{name}.lora_A.weight"] = layer.lora_A[ADAPTER_NAME].weight
        found[f"{name}.lora_B.weight"] = layer.lora_B[ADAPTER_NAME].weight
    return found


@contextmanager
def _quiet_peft() -> Iterator[None]:
    """Keep from users what only peft can fix: 0.21 asks transformers 5 by an old name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".is_gradient_checkpointing. is deprecated", category=FutureWarning)
        # An adapted output head that shares its weights with the embeddings: only merging would go wrong.
        warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`", category=UserWarning)
        yield
