"""Families of models, each as a tiny random one by transformers' own configuration, and how the product runs them.

The tests hold that the last columns are true; the documentation shows them. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LAYERS = 4
VOCABULARY = 440
WINDOW = 16

_COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "sep_token_id": 0,
}

_LOCAL = {"num_local_experts": 4, "num_experts_per_tok": 2}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
_ROUTED = {
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
_LATENT = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "qk_head_dim": 16,
}
_HEADS = {"head_dim": 8}
_WINDOWED = {"sliding_window": WINDOW}
_TURNS = {"layer_types": ["sliding_attention", "full_attention"] * 2}
_GATED = {
    **_HEADS,
    "layer_types": ["linear_attention", "full_attention"] * 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
}
_MAMBA = {"mamba_d_state": 8, "mamba_d_head": 8, "mamba_n_heads": 8, "mamba_n_groups": 1, "mamba_chunk_size": 16}
_CONVOLVED = {"layer_types": ["conv", "full_attention"] * 2}
_VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 14,
}
_TOWER = {**_VISION, "num_key_value_heads": 4, "head_dim": 8, "patch_size": 4}
_MARKS = {"image_token_id": 439, "video_token_id": 438, "audio_token_id": 437, "boi_token_id": 436, "eoi_token_id": 435}
_SEEING = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4, "out_hidden_size": 32}
_PER_LAYER = {
    **_HEADS,
    **_WINDOWED,
    **_TURNS,
    "vocab_size_per_layer_input": VOCABULARY,
    "hidden_size_per_layer_input": 8,
    "num_kv_shared_layers": 0,
}
_JAMBA = {
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
    "expert_layer_period": 2,
    "expert_layer_offset": 1,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "mamba_d_state": 8,
    "mamba_dt_rank": 4,
    "use_mamba_kernels": False,
}
_ZAMBA2 = {
    "mamba_d_state": 8,
    "mamba_headdim": 8,
    "mamba_ngroups": 1,
    "n_mamba_heads": 8,
    "chunk_size": 16,
    "num_key_value_heads": 4,
    "layers_block_type": ["mamba", "hybrid"] * 2,
    "num_mem_blocks": 1,
    "adapter_rank": 4,
}
_MULTIPLIED = {"embedding_multiplier": 2.0, "residual_multiplier": 0.5, "attention_multiplier": 0.2}


_WINDOW = "attends to a window or chunk only"
_RECURRENT = "has recurrent layers, which no mask tells texts apart for"
_ALIBI = "makes its positions from a mask of another form"


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes:
        name: transformers' ``model_type``.
        settings: What its configuration has besides what all have.
        text: The same for the configuration of the decoder inside it, if that is one of its own.
        off: Names of the ways to save time that it does not allow (fields of ``FastPaths``).
        refused: Words of the message that refuses it; empty where it runs.
        why: Why ways are off or it is refused, for the table.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, Any] | None = None
    off: tuple[str, ...] = ()
    refused: str = ""
    why: str = ""


FAMILIES = (
    Family("llama"),
    Family("mistral", {"sliding_window": None}),
    Family("ministral", {**_HEADS, **_WINDOWED, **_TURNS}, off=("packing",), why=_WINDOW),
    Family("mixtral", {**_LOCAL, "sliding_window": None}),
    Family("qwen2"),
    Family("qwen2_moe", {**_EXPERTS, "shared_expert_intermediate_size": 24}, off=("packing",), why=_WINDOW),
    Family("qwen3", _HEADS),
    Family("qwen3_moe", {**_EXPERTS, **_HEADS}),
    Family(
        "qwen3_next", {**_EXPERTS, **_GATED, "shared_expert_intermediate_size": 24}, off=("packing",), why=_RECURRENT
    ),
    Family("qwen3_5", {"vision_config": _SEEING}, text=_GATED, off=("packing",), why=_RECURRENT),
    Family("qwen3_5_text", _GATED, off=("packing",), why=_RECURRENT),
    Family(
        "qwen3_5_moe_text",
        {**_EXPERTS, **_GATED, "shared_expert_intermediate_size": 24},
        off=("packing",),
        why=_RECURRENT,
    ),
    Family("gemma", _HEADS),
    Family("gemma2", {**_HEADS, **_WINDOWED}, off=("packing",), why=_WINDOW),
    Family("gemma3_text", {**_HEADS, **_WINDOWED}, off=("packing",), why=_WINDOW),
    Family(
        "gemma3",
        {"image_token_index": 439, "mm_tokens_per_image": 4, "vision_config": _VISION},
        text={**_HEADS, **_WINDOWED},
        off=("packing",),
        why=_WINDOW,
    ),
    Family(
        "gemma3n_text",
        {**_PER_LAYER, "laurel_rank": 4, "altup_num_inputs": 2, "activation_sparsity_pattern": [0.0] * 4},
        off=("packing",),
        why=_WINDOW,
    ),
    Family("gemma4_text", {**_PER_LAYER, "global_head_dim": 8}, off=("packing",), why=_WINDOW),
    Family(
        "gemma4",
        {"vision_config": _TOWER, "audio_config": None, **_MARKS},
        text={**_PER_LAYER, "global_head_dim": 8},
        off=("packing",),
        why=_WINDOW,
    ),
    Family("vaultgemma", {**_HEADS, **_WINDOWED}, off=("packing",), why=_WINDOW),
    Family("phi"),
    Family("phi3", {"sliding_window": None}),
    Family("phimoe", {**_LOCAL, "sliding_window": None}),
    Family("gpt2"),
    Family("gpt_bigcode"),
    Family(
        "gpt_neo", {"attention_types": [[["global", "local"], 2]], "window_size": WINDOW}, off=("packing",), why=_WINDOW
    ),
    Family("gpt_neox"),
    Family("gptj", {"rotary_dim": 4}),
    Family("openai-gpt", off=("prefix", "packing"), why="keeps no keys and values"),
    Family("ctrl", {"dff": 48}),
    Family("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    Family("bloom", off=("packing",), why=_ALIBI),
    Family("falcon"),
    Family("stablelm"),
    Family("starcoder2", {"sliding_window": None}),
    Family("codegen", {"rotary_dim": 4}),
    Family("biogpt"),
    Family("xglm", {"ffn_dim": 48}),
    Family("mpt", {"expansion_ratio": 2, "max_seq_len": 512}, off=("packing",), why=_ALIBI),
    Family("persimmon"),
    Family("nemotron"),
    Family("olmo"),
    Family("olmo2"),
    Family("olmo3", _WINDOWED, off=("packing",), why=_WINDOW),
    Family("olmoe", {"num_experts": 4, "num_experts_per_tok": 2}),
    Family("flex_olmo", {"num_experts": 4, "num_experts_per_tok": 2}),
    Family("olmo_hybrid", off=("packing",), why=_RECURRENT),
    Family("granite", {**_MULTIPLIED, "logits_scaling": 8.0}),
    Family("granitemoe", {**_LOCAL, "logits_scaling": 8.0}),
    Family("granitemoeshared", {**_LOCAL, "logits_scaling": 8.0, "shared_intermediate_size": 24}),
    Family(
        "granitemoehybrid",
        {
            **_LOCAL,
            **_MAMBA,
            "shared_intermediate_size": 24,
            "layer_types": ["mamba", "attention"] * 2,
            "logits_scaling": 4.0,
        },
        off=("packing",),
        why=_RECURRENT,
    ),
    Family("cohere", {"logit_scale": 0.25}),
    Family("cohere2", {**_WINDOWED, "logit_scale": 0.25}, off=("packing",), why=_WINDOW),
    Family("deepseek_v2", {**_ROUTED, **_LATENT, "q_lora_rank": None}),
    Family("deepseek_v3", {**_ROUTED, **_LATENT}),
    Family("dots1", {**_ROUTED, "sliding_window": None}),
    Family("glm", {**_HEADS, "partial_rotary_factor": 0.5}),
    Family("glm4", {**_HEADS, "partial_rotary_factor": 0.5}),
    Family("glm4_moe", {**_ROUTED, **_HEADS, "partial_rotary_factor": 0.5}),
    Family("ernie4_5", _HEADS),
    Family(
        "ernie4_5_moe", {"moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 24, "moe_num_shared_experts": 1}
    ),
    Family("exaone4", {**_WINDOWED, "sliding_window_pattern": 2}, off=("packing",), why=_WINDOW),
    Family("hunyuan_v1_dense", _HEADS),
    Family("hunyuan_v1_moe", {**_HEADS, "num_experts": 4, "moe_topk": 2}),
    Family("helium", _HEADS),
    Family("smollm3"),
    Family("seed_oss", _HEADS),
    Family("apertus"),
    Family("arcee"),
    Family("bitnet"),
    Family("diffllama"),
    Family("doge"),
    Family("nanochat"),
    Family(
        "modernbert-decoder",
        {"local_attention": WINDOW, "global_attn_every_n_layers": 2},
        off=("packing",),
        why=_WINDOW,
    ),
    Family(
        "llama4",
        {"vision_config": _TOWER},
        text={**_LOCAL, **_HEADS, "intermediate_size_mlp": 48, "attention_chunk_size": WINDOW},
        off=("packing",),
        why=_WINDOW,
    ),
    Family(
        "llama4_text",
        {**_LOCAL, **_HEADS, "intermediate_size_mlp": 48, "attention_chunk_size": WINDOW},
        off=("packing",),
        why=_WINDOW,
    ),
    Family("gpt_oss", {**_LOCAL, **_HEADS, **_WINDOWED}, off=("packing",), why=_WINDOW),
    Family(
        "minimax",
        {**_LOCAL, **_HEADS, "block_size": 16, "layer_types": ["linear_attention", "full_attention"] * 2},
        off=("prefix", "packing"),
        why=_RECURRENT,
    ),
    Family("minimax_m2", {**_LOCAL, **_HEADS, "rotary_dim": 4}),
    Family("jetmoe", {**_LOCAL, "kv_channels": 8}),
    Family("bamba", {**_MAMBA, "attn_layer_indices": [1, 3]}, off=("prefix", "packing"), why=_RECURRENT),
    Family("jamba", _JAMBA, off=("prefix", "packing"), why=_RECURRENT),
    Family("zamba2", _ZAMBA2, off=("packing",), why=_RECURRENT),
    Family("mamba", {"state_size": 8}, off=("prefix", "packing"), why=_RECURRENT),
    Family(
        "mamba2",
        {"state_size": 8, "head_dim": 8, "num_heads": 8, "n_groups": 1, "chunk_size": 16},
        off=("packing",),
        why=_RECURRENT,
    ),
    Family("falcon_mamba", {"state_size": 8}, off=("prefix", "packing"), why=_RECURRENT),
    Family("falcon_h1", {**_MAMBA, "mamba_d_ssm": 64}, off=("packing",), why=_RECURRENT),
    Family("lfm2", {**_CONVOLVED, "block_ff_dim": 48}, off=("packing",), why=_RECURRENT),
    Family("lfm2_moe", {**_EXPERTS, **_CONVOLVED, "num_dense_layers": 1}, off=("packing",), why=_RECURRENT),
    Family(
        "recurrent_gemma",
        {"lru_width": 32, "attention_window_size": 64, "block_types": ["recurrent", "attention"]},
        off=("prefix", "packing"),
        why=_RECURRENT,
    ),
    Family("rwkv", off=("prefix", "packing"), why=_RECURRENT),
    Family("hrm_text", refused="no row of 32 layers", why="runs the same layers in loops"),
)


def tiny(family: Family, seed: int = 0) -> Any:
    """Return a tiny random model, in eval mode and without gradients."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = CONFIG_MAPPING[family.name]
    if family.text is not None:
        config = kind(text_config={**_COMMON, **family.text}, **family.settings)
    else:
        config = kind(**{**_COMMON, **family.settings})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
    model.requires_grad_(False)
    return model.eval()
