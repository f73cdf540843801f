"""A model as its ``config.json`` describes it, without weights: for checks, at no cost of memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activelora.errors import ActiveLoRAError, ModelError
from activelora.modeling import builtin

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from activelora.config import ModelConfig

BASE_REMEDY = (
    f"Set model.base to `{builtin.NAME}`, a folder with config.json and safetensors, a hub id owner/name, or the "
    "s3:// prefix of a model that `activelora model push` has published."
)
_MAX_LAYERS = 10_000
_ADAPTABLE = "Use a decoder such as Llama, Qwen, Mistral, Gemma or SmolLM."


def base_setting(config: ModelConfig) -> str:
    """Return the setting and its value, as errors name a model.

    Args:
        config: The model section.
    """
    return f"model.base: {config.base}"


def cannot_load(config: ModelConfig, error: Exception) -> ModelError:
    """Return the error of a model that transformers cannot load, in the words of :func:`reason_of`.

    Args:
        config: The model section.
        error: What transformers raised.
    """
    reason = reason_of(error, "config.json")
    return ModelError(f"cannot be loaded: {reason}", where=base_setting(config), remedy=BASE_REMEDY)


def reason_of(error: Exception, file: str) -> str:
    """Return the first line of an error's words that says something, with what leads to it.

    Args:
        error: What transformers raised.
        file: The file whose values it most likely is about.
    """
    if isinstance(error, KeyError) and error.args:
        word = error.args[0]
        return word if isinstance(word, str) and " " in word else f"{file}: `{word}` is unknown, or missing"
    said = ""
    for line in str(error).splitlines():
        said = f"{said} {line.strip()}".strip()
        if said and not said.endswith(":"):
            break
    return said or type(error).__name__


def set_outputs(model: PreTrainedModel) -> None:
    """Let a model give what is read here, whatever its ``config.json`` says of the form of its outputs.

    Args:
        model: The model, which is changed.
    """
    for settings in (model.config, model.config.get_text_config(decoder=True)):
        settings.return_dict = True
        settings.output_hidden_states = False
        settings.output_attentions = False


def not_adaptable(config: ModelConfig, kind: str) -> ModelError:
    """Return the error of an architecture that has no place for adapters.

    Args:
        config: The model section.
        kind: The architecture's name.
    """
    problem = f"{kind} is an architecture that cannot be adapted here"
    return ModelError(problem, where=base_setting(config), remedy=_ADAPTABLE)


def skeleton_of(source: str, config: ModelConfig) -> PreTrainedModel:
    """Return a model without its weights.

    Args:
        source: Folder or hub id.
        config: The model section.

    Raises:
        ModelError: Its ``config.json`` describes no causal language model that transformers knows.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if Path(source).is_dir():
        _check_file(Path(source), config)
    try:
        settings: PreTrainedConfig = AutoConfig.from_pretrained(
            source, revision=config.revision, trust_remote_code=False
        )
        if settings.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            raise not_adaptable(config, f"`{settings.model_type}`")
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(settings, trust_remote_code=False)
    except ActiveLoRAError:
        raise
    except Exception as error:  # what a wrong value in config.json makes of transformers' constructors is anything
        raise cannot_load(config, error) from error
    set_outputs(model)
    return model


def _check_file(folder: Path, config: ModelConfig) -> None:
    """Check that a folder's ``config.json`` names an architecture of transformers.

    Raises:
        ModelError: It does not, or is no JSON.
    """
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    content = _read(folder / "config.json", config)
    kind = content.get("model_type")
    if not isinstance(kind, str) or not kind:
        problem = "config.json names no model_type, so that it is no configuration of transformers"
        raise ModelError(problem, where=base_setting(config), remedy=BASE_REMEDY)
    if kind not in CONFIG_MAPPING and content.get("auto_map"):
        raise ModelError(
            f"the architecture `{kind}` comes as code with the model (auto_map in config.json), which is never run",
            where=base_setting(config),
            remedy="Use a model whose architecture is part of transformers.",
        )
    if kind not in CONFIG_MAPPING:
        raise ModelError(
            f"the architecture `{kind}` is unknown to transformers {transformers.__version__}",
            where=base_setting(config),
            remedy=f"Install a newer transformers if it has that architecture. {_ADAPTABLE}",
        )
    if not isinstance(content.get("transformers_weights"), str | None):
        problem = f"transformers_weights in config.json is {content['transformers_weights']!r}, and must name a file"
        raise ModelError(problem, where=base_setting(config), remedy=BASE_REMEDY)
    if not isinstance(said := content.get("quantization_config"), dict | None):
        problem = f"quantization_config in config.json is {said!r}, and must be an object"
        raise ModelError(problem, where=base_setting(config), remedy="Copy or fetch the model again.")
    layers = content.get("num_hidden_layers")
    if isinstance(layers, int) and layers > _MAX_LAYERS:
        problem = f"config.json says num_hidden_layers {layers}, and no model has so many"
        raise ModelError(problem, where=base_setting(config), remedy="Copy or fetch the model again.")
    if (folder / "adapter_config.json").exists():
        raise ModelError(
            "the folder holds a model and an adapter of peft (adapter_config.json), which would be loaded with it",
            where=base_setting(config),
            remedy="Move the adapter's files elsewhere, or merge it with peft: merge_and_unload, then save_pretrained.",
        )


def _read(path: Path, config: ModelConfig) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = f"config.json cannot be read: {error.strerror}"
        raise ModelError(problem, where=base_setting(config), remedy=BASE_REMEDY) from error
    except (ValueError, RecursionError) as error:
        problem = f"config.json is not JSON: {str(error) or type(error).__name__}"
        raise ModelError(problem, where=base_setting(config), remedy="Copy or fetch the model again.") from error
    if not isinstance(content, dict):
        problem = f"config.json holds {type(content).__name__}, not an object"
        raise ModelError(problem, where=base_setting(config), remedy=BASE_REMEDY)
    return content
