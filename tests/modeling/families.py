"""Tiny random models of families whose wrapper or layers are unlike Llama's."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 120,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
    "initializer_range": 0.3,
}
LINEAR: dict[str, Any] = {
    "layer_types": ["linear_attention", "full_attention"] * 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 24,
}
WINDOWED = {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"] * 2}


def family(model_type: str, seed: int = 0, **settings: Any) -> PreTrainedModel:
    """Return a model of a family, in float32 and eval mode."""
    torch.manual_seed(seed)
    sizes = {name: size for name, size in SIZES.items() if name != "head_dim" or model_type != "falcon"}
    config = AutoConfig.for_model(model_type, **(sizes | settings))
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    return model.requires_grad_(False)


def gpt_oss() -> PreTrainedModel:
    """Return one of 12 layers, every second of which sees 16 tokens."""
    types = ["sliding_attention", "full_attention"] * 6
    return family(
        "gpt_oss",
        num_hidden_layers=12,
        sliding_window=16,
        layer_types=types,
        num_local_experts=4,
        num_experts_per_tok=2,
        initializer_range=0.1,
    )
