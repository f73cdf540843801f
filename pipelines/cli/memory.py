"""How much memory a campaign needs, estimated from the model's own files, without loading it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activelora.config import CampaignConfig

GIB = 1 << 30
_PROGRAM_BYTES = GIB  # Python, torch and the tables
_BYTES_PER_VALUE = {"float32": 4, "bfloat16": 2, "float16": 2}
_WEIGHT_BYTES = {"8bit": 1.0, "4bit": 0.6}
_ACTIVATIONS_PER_WIDTH = 16  # values that one layer keeps for the backward pass, per token, in units of its width
_SIZES = (
    ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    ("hidden_size", "n_embd", "d_model"),
    ("intermediate_size", "n_inner", "ffn_dim"),
)
_AUTO_TOKENS = 1024  # tokens of a batch that `auto` takes at least where there is a GPU


@dataclass(frozen=True)
class ModelSize:
    """What a model's files say.

    Attributes:
        num_parameters: Number of parameters.
        num_layers: Number of transformer layers.
        width: Width D of a layer's input.
        inner_width: Width of its feed-forward part.
    """

    num_parameters: int
    num_layers: int
    width: int
    inner_width: int


def model_size(folder: Path) -> ModelSize | None:
    """Read a model's size from its config and safetensors headers; None where its config says too little.

    Raises:
        ModelError: Weights are missing or damaged.
    """
    from activelora.modeling.headers import read_headers
    from activelora.modeling.prequantized import num_values

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    named = config.get("transformers_weights")
    headers = read_headers(folder, named if isinstance(named, str) else None)
    text = config.get("text_config")
    widths = _widths(text if isinstance(text, dict) else config)
    return None if widths is None else ModelSize(num_values(headers), *widths)


def _widths(config: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """Return a decoder's number of layers, width and inner width, by the names that families have for them."""
    found = [next((config[name] for name in names if config.get(name)), None) for names in _SIZES]
    layers, width, inner = found
    if isinstance(inner, list):  # one a layer
        inner = max((one for one in inner if isinstance(one, int)), default=None)
    if not isinstance(layers, int) or not isinstance(width, int):
        return None
    return layers, width, inner if isinstance(inner, int) else 4 * width


def estimate_bytes(size: ModelSize, config: CampaignConfig, item_tokens: int, *, dtype: str) -> int:
    """Estimate the peak of training and scoring, whichever is larger. Good to a factor of about 1.5.

    Args:
        size: The base model's.
        config: The campaign's settings.
        item_tokens: Tokens of the longest item.
        dtype: Number format of weights and activations.
    """
    value = _BYTES_PER_VALUE[dtype]
    weights = size.num_parameters * _WEIGHT_BYTES.get(config.model.quantization, value)
    layers = min(config.adapter.last_layers or size.num_layers, size.num_layers)
    per_token = _ACTIVATIONS_PER_WIDTH * size.width + 4 * size.inner_width
    stored_layers = 1 if config.training.gradient_checkpointing else layers
    passes = math.ceil(config.training.batch_size / config.training.gradient_accumulation)
    training = passes * item_tokens * per_token * stored_layers * value
    adapter = 16 * config.adapter.rank * layers * (8 * size.width + 3 * size.inner_width)
    merged = weights * layers / size.num_layers  # a weight sample, beside the weights it comes from
    tokens = _AUTO_TOKENS if config.scoring.batch_tokens == "auto" else config.scoring.batch_tokens
    scoring = merged + tokens * (2 * size.num_layers * size.width + per_token) * value
    return int(_PROGRAM_BYTES + weights + max(training + adapter, scoring))


def machine_bytes() -> int:
    """Return this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
