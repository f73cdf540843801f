"""Base models: the frozen language model that adapters sit on."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activelora.campaign.s3 import S3Store
from activelora.config import ModelConfig
from activelora.errors import ModelError
from activelora.modeling import builtin
from activelora.modeling.fast_paths import ALL, FastPaths
from activelora.modeling.locating import fetched, local_folder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BaseModel:
    """A base model in memory.

    Attributes:
        name: Name by which users of a saved adapter know it: a hub id or a folder.
        model: The causal language model, in eval mode, without gradients.
        tokenizer: Its tokenizer.
        device: Device that holds the model.
        paths: Ways to save time that change none of its numbers.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    paths: FastPaths = ALL


def load_tokenizer(config: ModelConfig) -> PreTrainedTokenizerBase:
    """Load the tokenizer alone.

    Raises:
        ModelError: It cannot be loaded.
    """
    from transformers import AutoTokenizer

    source, _ = _resolve(config)
    try:
        return AutoTokenizer.from_pretrained(source, revision=config.revision, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _cannot_load(config, error) from error


@lru_cache(maxsize=1)
def load_base(config: ModelConfig) -> BaseModel:
    """Load a base model; the last one stays in memory, so that the steps of one process share it.

    Raises:
        ModelError: It cannot be loaded, or its settings do not fit this machine.
    """
    return _load(config, moves=True)


def load_to_shard(config: ModelConfig) -> BaseModel:
    """Load a base model into main memory, from where FSDP takes each process's part to its device.

    Raises:
        ModelError: It cannot be loaded, or its settings do not fit this machine.
    """
    return _load(config, moves=False)


def _load(config: ModelConfig, *, moves: bool) -> BaseModel:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    from activelora.modeling.fidelity import paths_of

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    source, name = _resolve(config)
    options: dict[str, Any] = {"dtype": _dtype(config, device), "revision": config.revision}
    if config.quantization != "none":
        options |= {"quantization_config": _quantization(config, device), "device_map": {"": device}}
    tokenizer = load_tokenizer(config)
    try:
        model = AutoModelForCausalLM.from_pretrained(source, use_safetensors=True, trust_remote_code=False, **options)
    except (OSError, ValueError, SafetensorError) as error:
        raise _cannot_load(config, error) from error
    if config.quantization == "none" and moves:
        model.to(device)
    model.requires_grad_(False)
    model.eval()
    logger.info("base model %s on %s in %s", name, device, str(model.dtype).removeprefix("torch."))
    return BaseModel(name, model, tokenizer, device, paths_of(model, weighed=moves))


def is_local(config: ModelConfig) -> bool:
    """Tell whether the model can be loaded without fetching anything."""
    return local_folder(config) is not None


def check_name(config: ModelConfig) -> None:
    """Check that a model may be where the name says.

    Raises:
        ModelError: The name is neither that of the built-in model, nor of a folder, nor a hub id, nor ``s3://``.
    """
    if config.base.startswith("s3://"):
        S3Store(config.base)  # refuses what is none; contacts nothing
        return
    if config.base == builtin.NAME or Path(config.base).expanduser().is_dir() or _HUB_ID.fullmatch(config.base):
        return
    raise ModelError("there is no such model folder", where=f"model.base: {config.base}", remedy=_BASE_REMEDY)


def load_skeleton(config: ModelConfig) -> PreTrainedModel:
    """Return the base model without its weights, which takes no memory: for checks of its layers.

    Raises:
        ModelError: It cannot be loaded, or is of a kind that cannot be adapted here.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    from activelora.modeling.decoder_parts import decoder_parts

    source, _ = _resolve(config)
    try:
        settings = AutoConfig.from_pretrained(source, revision=config.revision, trust_remote_code=False)
        if settings.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            raise _not_adaptable(config, f"`{settings.model_type}`")
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(settings, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _cannot_load(config, error) from error
    decoder_parts(model)
    return model


def check_here(config: ModelConfig) -> None:
    """Check what depends on this machine.

    Raises:
        ModelError: The model is to be quantised, and this machine has no GPU or lacks the library.
    """
    import torch

    if config.quantization != "none":
        _quantization(config, torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _resolve(config: ModelConfig) -> tuple[str, str]:
    """Return what to load from, and the name that a saved adapter should carry."""
    check_name(config)
    folder = Path(config.base).expanduser()
    if folder.is_dir() and not (folder / "config.json").exists():
        raise ModelError("the folder has no config.json", where=f"model.base: {folder}", remedy=_BASE_REMEDY)
    return fetched(config), builtin.HUB_ID if config.base == builtin.NAME else config.base


_HUB_ID = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9_][\w.\-]*")
_BASE_REMEDY = (
    f"Set model.base to `{builtin.NAME}`, a folder with config.json and safetensors, a hub id owner/name, or the "
    "s3:// prefix of a model that `activelora model push` has published."
)


def _cannot_load(config: ModelConfig, error: Exception) -> ModelError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelError(f"cannot be loaded: {reason}", where=f"model.base: {config.base}", remedy=_BASE_REMEDY)


def _not_adaptable(config: ModelConfig, kind: str) -> ModelError:
    return ModelError(
        f"{kind} is an architecture that cannot be adapted here",
        where=f"model.base: {config.base}",
        remedy="Use a decoder such as Llama, Qwen, Mistral, Gemma or SmolLM.",
    )


def _dtype(config: ModelConfig, device: torch.device) -> torch.dtype:
    import torch

    if config.dtype == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.dtype]


def _quantization(config: ModelConfig, device: torch.device) -> Any:
    import torch
    from transformers import BitsAndBytesConfig
    from transformers.utils import is_bitsandbytes_available

    if device.type != "cuda":
        raise ModelError(
            "needs an NVIDIA GPU, and this machine has none",
            where=f"model.quantization: {config.quantization}",
            remedy="Set it to none.",
        )
    if not is_bitsandbytes_available():
        raise ModelError(
            "needs bitsandbytes",
            where=f"model.quantization: {config.quantization}",
            remedy="pip install 'activelora[quantization]'.",
        )
    if config.quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
