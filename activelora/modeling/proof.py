"""Loading that proves itself: what differs between weights and model is an error, before and after they are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from activelora.modeling import prequantized
from activelora.modeling.causes import refusal
from activelora.modeling.headers import TensorHeader, has_weights, read_headers
from activelora.modeling.locating import cached_snapshot
from activelora.modeling.skeletons import base_setting, cannot_load, set_outputs
from activelora.modeling.stored_values import check_values
from activelora.modeling.weights_check import Differences, collected_reports, compare, differences

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from activelora.config import ModelConfig


def check_weights(skeleton: PreTrainedModel, source: str, config: ModelConfig) -> None:
    """Compare weights with the model, by their headers alone; those of a hub id only if they have been fetched.

    Args:
        skeleton: The model without weights.
        source: Folder or hub id.
        config: The model section.

    Raises:
        ModelError: Files are missing or damaged, or the weights are not the model's own.
    """
    headers = _headers(skeleton.config, source, config)
    if headers is None:
        return
    stored = prequantized.stored_of(skeleton.config, config)
    plain = headers if stored is None else prequantized.unpacked(headers, skeleton.state_dict())
    if found := compare(skeleton, plain):
        raise refusal(found, skeleton.config, base_setting(config))
    check_values(headers, skeleton, stored, base_setting(config))


def load_proven(source: str, config: ModelConfig, options: dict[str, Any]) -> PreTrainedModel:
    """Load a model, all of whose parameters are from its files.

    Args:
        source: Folder or hub id.
        config: The model section.
        options: Further options of transformers.

    Raises:
        ModelError: It cannot be loaded, or its weights are not its own.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM

    fixed = {"use_safetensors": True, "trust_remote_code": False, "revision": config.revision}
    with collected_reports() as reports:
        try:
            # Shapes that differ are reported like all else, and refused below.
            model, info = AutoModelForCausalLM.from_pretrained(
                source, ignore_mismatched_sizes=True, output_loading_info=True, **fixed, **options
            )
        except torch.OutOfMemoryError:
            raise
        except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError) as error:
            if unconverted := reports.unconverted():
                settings = AutoConfig.from_pretrained(source, revision=config.revision, trust_remote_code=False)
                found = Differences(frozenset(), unconverted=unconverted)
                raise refusal(found, settings, base_setting(config)) from error
            raise cannot_load(config, error) from error
    headers = _headers(model.config, source, config)
    if found := differences(model, info, headers):
        raise refusal(found, model.config, base_setting(config))
    if headers is not None:
        settings = AutoConfig.from_pretrained(source, revision=config.revision, trust_remote_code=False)
        check_values(headers, model, prequantized.stored_of(settings, config), base_setting(config))
    loaded: PreTrainedModel = model
    set_outputs(loaded)
    return loaded


def _headers(settings: PreTrainedConfig, source: str, config: ModelConfig) -> dict[str, TensorHeader] | None:
    """Return what a model's files say of their tensors; None where the hub's client has not fetched them yet."""
    folder = Path(source) if Path(source).is_dir() else cached_snapshot(config)
    if folder is None or (folder != Path(source) and not has_weights(folder)):
        return None
    named = getattr(settings, "transformers_weights", None)
    return read_headers(folder, named if isinstance(named, str) else None)
