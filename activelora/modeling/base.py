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
from activelora.modeling import builtin, prequantized
from activelora.modeling.fast_paths import ALL, FastPaths
from activelora.modeling.locating import cached_snapshot, fetched, local_folder
from activelora.modeling.proof import check_weights, load_proven
from activelora.modeling.skeletons import BASE_REMEDY, base_setting, reason_of, skeleton_of
from activelora.modeling.vocabulary import check_vocabulary

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
        tokenizer = AutoTokenizer.from_pretrained(source, revision=config.revision, trust_remote_code=False)
    except Exception as error:
        raise _cannot_load_tokenizer(config, error) from error
    _check_length(config, tokenizer.model_max_length)
    return tokenizer


@lru_cache(maxsize=1)
def load_base(config: ModelConfig) -> BaseModel:
    """Load a base model; the last one stays in memory, so that the steps of one process share it.

    Raises:
        ModelError: It cannot be loaded, or its settings do not fit this machine.
    """
    return _load(config, moves=True)


def load_own_base(config: ModelConfig) -> BaseModel:
    """Load a base model that nothing else in the process uses: several adapted models may then be open at once.

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

    from activelora.modeling.fidelity import paths_of

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    source, name = _resolve(config)
    skeleton = skeleton_of(source, config)
    stored = prequantized.stored_of(skeleton.config, config)
    form = stored.form if stored else None
    if form is not None and not moves:
        raise _cannot_shard(config, form)
    check_weights(skeleton, source, config)
    options: dict[str, Any] = {"dtype": _dtype(config, device)}
    if config.quantization != "none" or form is not None:
        quantization = _quantization(config, device, form)
        options |= {"device_map": {"": device}} | ({} if form else {"quantization_config": quantization})
    elif stored is not None:
        options["quantization_config"] = prequantized.as_plain_numbers(stored)
        logger.info("the checkpoint's %s weights are read as plain numbers", stored.method)
    tokenizer = load_tokenizer(config)
    model = load_proven(source, config, options)
    check_vocabulary(tokenizer, model)
    if not prequantized.is_quantized(model) and moves:
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
    raise ModelError("there is no such model folder", where=base_setting(config), remedy=BASE_REMEDY)


def load_skeleton(config: ModelConfig) -> PreTrainedModel:
    """Return the base model without its weights, which takes no memory: for checks of its layers.

    Raises:
        ModelError: It cannot be loaded, or is of a kind that cannot be adapted here.
    """
    from activelora.modeling.decoder_parts import decoder_parts

    source, _ = _resolve(config)
    model = skeleton_of(source, config)
    prequantized.stored_of(model.config, config)
    decoder_parts(model)
    return model


def check_here(config: ModelConfig, skeleton: PreTrainedModel | None = None) -> None:
    """Check what depends on this machine.

    Args:
        config: The model section.
        skeleton: What :func:`load_skeleton` gave; None builds one.

    Raises:
        ModelError: The model is to be quantised, or is so already, and this machine has no GPU or lacks the library.
    """
    import torch

    if skeleton is None:
        skeleton = skeleton_of(_resolve(config)[0], config)
    form = prequantized.form_of(skeleton.config, config)
    if config.quantization != "none" or form is not None:
        _quantization(config, torch.device("cuda" if torch.cuda.is_available() else "cpu"), form)


def check_stored(config: ModelConfig, skeleton: PreTrainedModel | None = None) -> None:
    """Check that a model's files are whole and its weights its own, by their headers alone.

    Args:
        config: The model section.
        skeleton: What :func:`load_skeleton` gave; None builds one.

    Raises:
        ModelError: They are not, or it is of a kind that cannot be loaded.
    """
    source, _ = _resolve(config)
    check_weights(skeleton_of(source, config) if skeleton is None else skeleton, source, config)


def check_cached(config: ModelConfig) -> bool:
    """Check a model that the hub's client has fetched, as :func:`check_stored` does, and tell whether it has one.

    Raises:
        ModelError: Its weights are not its own, or it is of a kind that cannot be loaded.
    """
    folder = cached_snapshot(config)
    if folder is None:
        return False
    check_weights(skeleton_of(str(folder), config), config.base, config)
    return True


def check_folder(config: ModelConfig) -> None:
    """Check that a folder, where the name is one, may hold a model.

    Raises:
        ModelError: It has no ``config.json``.
    """
    folder = Path(config.base).expanduser()
    if folder.is_dir() and not (folder / "config.json").exists():
        raise ModelError("the folder has no config.json", where=f"model.base: {folder}", remedy=BASE_REMEDY)


def _resolve(config: ModelConfig) -> tuple[str, str]:
    """Return what to load from, and the name that a saved adapter should carry."""
    check_name(config)
    check_folder(config)
    return fetched(config), builtin.HUB_ID if config.base == builtin.NAME else config.base


_HUB_ID = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9_][\w.\-]*")


def _cannot_shard(config: ModelConfig, form: prequantized.Form) -> ModelError:
    remedy = "Set resources.train.parallel to ddp, or use the checkpoint that is not quantised."
    return ModelError(f"`fsdp` cannot split a checkpoint in {form}", where=base_setting(config), remedy=remedy)


def _check_length(config: ModelConfig, length: object) -> None:
    if isinstance(length, bool) or not isinstance(length, int | float) or not length > 0:
        problem = f"model_max_length in tokenizer_config.json is {length!r}, and must be a number of tokens"
        raise ModelError(problem, where=base_setting(config), remedy="Correct it, or take it out.")


def _cannot_load_tokenizer(config: ModelConfig, error: Exception) -> ModelError:
    reason = reason_of(error, "tokenizer_config.json")
    remedy = "Put the tokenizer's files (tokenizer.json and tokenizer_config.json) beside the model's config.json."
    return ModelError(f"the tokenizer cannot be loaded: {reason}", where=base_setting(config), remedy=remedy)


def _dtype(config: ModelConfig, device: torch.device) -> torch.dtype:
    import torch

    if config.dtype == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.dtype]


def _quantization(config: ModelConfig, device: torch.device, form: prequantized.Form | None) -> Any:
    """Return how a model is quantised when it is loaded, if a checkpoint's weights are not quantised already."""
    import torch
    from transformers import BitsAndBytesConfig
    from transformers.utils import is_bitsandbytes_available

    where = f"model.quantization: {config.quantization}" if form is None else f"{base_setting(config)} (in {form})"
    if device.type != "cuda":
        remedy = "Set it to none." if form is None else "Use the checkpoint that is not quantised."
        raise ModelError("needs an NVIDIA GPU, and this machine has none", where=where, remedy=remedy)
    if not is_bitsandbytes_available():
        raise ModelError("needs bitsandbytes", where=where, remedy="pip install 'activelora[quantization]'.")
    if config.quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
