"""A small model of a model's kind with random weights: what goes wrong with its layers goes wrong here within a second.

It has few layers of every kind, in the same order, and windows and chunks of at most 64 tokens.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

logger = logging.getLogger(__name__)

WINDOW = 64
VOCABULARY = 256
MOST_PARAMETERS = 60_000_000
"""Size at most of a copy; that of a model's own width may be large."""
_WIDE = 64
_HEADS = 4
_HEAD_WIDTH = 16
_LEAST_LAYERS = 4
_MOST_LAYERS = 12
_AT_MOST: tuple[tuple[str, int], ...] = (
    (r"hidden_size|d_model|n_embd|word_embed_proj_dim", _WIDE),
    (r".*intermediate_size|ffn_dim|n_inner|ffn_hidden_size", 96),
    (r"moe_.*intermediate_size", 32),
    (r"head_dim|global_head_dim|v_head_dim|qk_nope_head_dim|qk_rope_head_dim|linear_(key|value)_head_dim", _HEAD_WIDTH),
    (r"(q|kv)_lora_rank|laurel_rank|hidden_size_per_layer_input", 32),
    (r"(num|n)_(local_|routed_)?experts|moe_num_experts", 4),
    (r"num_experts_per_tok|moe_k|moe_topk|top_k_experts", 2),
    (r"n_group|topk_group|n_shared_experts", 1),
    (r"linear_num_key_heads", 2),
    (r"linear_num_value_heads", 4),
    (r"mamba_d_state|state_size|ssm_state_size", 16),
    (r"first_k_dense_replace", 1),
    (r"rotary_dim", _HEAD_WIDTH),
)
_WINDOWS = r"(sliding_window|window_size|attention_chunk_size|mamba_chunk_size|chunk_size|block_size)"
_LONGEST_PERIOD = 2
_PERIOD = r".*(period|interval|_step|pattern)"
_COUNTS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")


def small_copies(model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """Yield small copies of a model that can be made, the smallest first: narrow ones, then one of its own width.

    Args:
        model: The model, whose weights need not be there.
    """
    for narrow in (True, False):
        try:
            config = small_config(model.config, narrow)
            with torch.device("meta"):
                size = sum(parameter.numel() for parameter in type(model)(config).parameters())
            if size > MOST_PARAMETERS:
                continue
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                copy = type(model)(small_config(model.config, narrow)).float().eval()
                _draw(copy)
        except Exception as error:
            logger.debug("no small copy of %s: %s", type(model).__name__, error)
            continue
        yield copy.requires_grad_(False)


def small_config(config: PretrainedConfig, narrow: bool) -> PretrainedConfig:
    """Return a configuration of few layers, short windows and few tokens and, if it is to be narrow, small layers."""
    return type(config).from_dict(_small(config.to_dict(), narrow))


def _small(settings: Mapping[str, Any], narrow: bool) -> dict[str, Any]:
    left_out = ("quantization_config", "dtype", "torch_dtype", "transformers_version", "architectures")
    small = {name: value for name, value in settings.items() if name not in left_out}
    vocabulary = small.get("vocab_size")
    for name, value in small.items():
        if isinstance(value, Mapping) and name.endswith("config"):
            small[name] = _small(value, narrow)
        elif isinstance(value, int) and not isinstance(value, bool):
            if re.fullmatch(_WINDOWS, name):
                small[name] = min(value, WINDOW)
            elif re.fullmatch(_PERIOD, name):
                small[name] = min(value, _LONGEST_PERIOD)
            elif name.endswith("_offset"):
                small[name] = min(value, _LONGEST_PERIOD - 1)
            elif name.startswith("vocab_size"):
                small[name] = min(value, VOCABULARY)
            elif re.fullmatch(r".*_token_(id|index)", name):
                small[name] = min(value, VOCABULARY - 1)
        elif name.endswith("_token_id") and isinstance(value, list):
            small[name] = [min(one, VOCABULARY - 1) for one in value]
    if vocabulary is not None:
        small |= _few_layers(small)
    if narrow:
        small |= _narrow(small)
    return small


def _few_layers(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the first and the last layer of each kind, or where kinds take turns, two turns."""
    counts = [name for name in _COUNTS if isinstance(settings.get(name), int)]
    if not counts:
        return {}
    count = int(settings[counts[0]])
    lists = {name: value for name, value in settings.items() if isinstance(value, list) and len(value) == count > 1}
    kinds = [repr([value[index] for value in lists.values()]) for index in range(count)]
    if lists and len(set(kinds)) > 1:
        firsts = [kinds.index(kind) for kind in dict.fromkeys(kinds)]
        lasts = [count - 1 - kinds[::-1].index(kind) for kind in dict.fromkeys(kinds)]
        chosen = sorted({*firsts, *lasts, *range(min(count, _LEAST_LAYERS))})[:_MOST_LAYERS]
    else:
        chosen = list(range(min(count, _LEAST_LAYERS)))
    few: dict[str, Any] = {name: [value[index] for index in chosen] for name, value in lists.items()}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value and all(str(key).isdecimal() for key in value):
            by_layer = {int(key): one for key, one in value.items()}
            few[name] = {at: by_layer[index] for at, index in enumerate(chosen) if index in by_layer}
    return few | dict.fromkeys(counts, len(chosen)) | _shared_layers(settings, len(chosen))


def _shared_layers(settings: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Keep a few layers that take over others' keys and values, where there are such layers."""
    shared = settings.get("num_kv_shared_layers")
    return {"num_kv_shared_layers": min(shared, count // 2)} if isinstance(shared, int) else {}


def _narrow(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of small layers whose parts fit together as they did."""
    small: dict[str, Any] = {}
    for name, value in settings.items():
        most = min((most for pattern, most in _AT_MOST if re.fullmatch(pattern, name)), default=None)
        if most is not None and type(value) is int:
            small[name] = min(value, most)
        elif most is not None and isinstance(value, list) and all(type(one) is int for one in value):
            small[name] = [min(one, most) for one in value]
    heads = next((name for name in ("num_attention_heads", "n_head", "n_heads") if settings.get(name)), None)
    if heads is not None:
        groups = settings.get("num_key_value_heads") or settings.get("num_kv_heads")
        few = min(_HEADS, int(settings[heads]))
        small[heads] = few
        for name in ("num_key_value_heads", "num_kv_heads"):
            if isinstance(settings.get(name), int):
                small[name] = few if groups == settings[heads] else 1 if groups == 1 else max(1, few // 2)
    if isinstance(settings.get("mamba_d_head"), int) or "mamba_n_heads" in settings:
        inner = int(settings.get("mamba_expand") or 2) * small.get("hidden_size", _WIDE)
        small |= {"mamba_d_head": 16, "mamba_n_heads": inner // 16, "mamba_n_groups": 1}
        if settings.get("mamba_d_ssm"):
            small["mamba_d_ssm"] = inner
    return small


def _draw(model: PreTrainedModel) -> None:
    """Draw weights under which every part of a layer tells: a fresh model's say next to nothing."""
    head: Any = model.get_output_embeddings()
    embeddings: Any = model.get_input_embeddings()
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            continue
        wide = parameter is head.weight or parameter is embeddings.weight
        nn.init.normal_(parameter, std=1.0 if wide else parameter.shape[-1] ** -0.5)
        if name.endswith(("A_log", "conv1d.weight")):
            parameter.data.mul_(0.5)
