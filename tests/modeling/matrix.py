"""Tiny random models of many families, by transformers' own configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LAYERS = 4
VOCABULARY = 440

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

_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
_MANY = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
_DEEPSEEK = {
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
_MLA = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "qk_head_dim": 16,
}
_LINEAR = {
    "head_dim": 8,
    "layer_types": ["linear_attention", "full_attention"] * 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
}
_MAMBA = {"mamba_d_state": 8, "mamba_d_head": 8, "mamba_n_heads": 8, "mamba_n_groups": 1, "mamba_chunk_size": 16}


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes:
        name: transformers' ``model_type``.
        settings: What its configuration has besides what all have.
        text: Same for the configuration of the decoder inside it, if it has one of its own.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, Any] | None = None


FAMILIES = [
    Family("llama"),
    Family("mistral", {"sliding_window": None}),
    Family("mixtral", {**_EXPERTS, "sliding_window": None}),
    Family(
        "ministral", {"sliding_window": 16, "head_dim": 8, "layer_types": ["sliding_attention", "full_attention"] * 2}
    ),
    Family("qwen2"),
    Family("qwen2_moe", {**_MANY, "shared_expert_intermediate_size": 24}),
    Family("qwen3", {"head_dim": 8}),
    Family("qwen3_moe", {**_MANY, "head_dim": 8}),
    Family("qwen3_next", {**_MANY, **_LINEAR, "shared_expert_intermediate_size": 24}),
    Family("qwen3_5_text", _LINEAR),
    Family("qwen3_5_moe_text", {**_MANY, **_LINEAR, "shared_expert_intermediate_size": 24}),
    Family("gemma", {"head_dim": 8}),
    Family("gemma2", {"head_dim": 8, "sliding_window": 16}),
    Family("gemma3_text", {"head_dim": 8, "sliding_window": 16}),
    Family(
        "gemma3",
        {
            "image_token_index": 439,
            "mm_tokens_per_image": 4,
            "vision_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "image_size": 28,
                "patch_size": 14,
            },
        },
        {"head_dim": 8, "sliding_window": 16},
    ),
    Family(
        "gemma3n_text",
        {
            "head_dim": 8,
            "sliding_window": 16,
            "vocab_size_per_layer_input": VOCABULARY,
            "hidden_size_per_layer_input": 8,
            "num_kv_shared_layers": 0,
            "laurel_rank": 4,
            "altup_num_inputs": 2,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "activation_sparsity_pattern": 0.0,
        },
    ),
    Family(
        "gemma4_text",
        {
            "head_dim": 8,
            "global_head_dim": 8,
            "sliding_window": 16,
            "vocab_size_per_layer_input": VOCABULARY,
            "hidden_size_per_layer_input": 8,
            "num_kv_shared_layers": 0,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
        },
    ),
    Family("phi"),
    Family("phi3", {"sliding_window": None}),
    Family("phimoe", {**_EXPERTS, "sliding_window": None}),
    Family("gpt2"),
    Family("gpt_bigcode"),
    Family("gpt_neo", {"attention_types": [[["global", "local"], 2]], "window_size": 16}),
    Family("gpt_neox"),
    Family("gptj", {"rotary_dim": 4}),
    Family("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    Family("bloom"),
    Family("falcon"),
    Family("stablelm"),
    Family("starcoder2", {"sliding_window": None}),
    Family("olmo"),
    Family("olmo2"),
    Family("olmo3", {"sliding_window": 16}),
    Family("olmoe", {"num_experts": 4, "num_experts_per_tok": 2}),
    Family(
        "granite",
        {"logits_scaling": 8.0, "embedding_multiplier": 2.0, "residual_multiplier": 0.5, "attention_multiplier": 0.2},
    ),
    Family("granitemoe", {**_EXPERTS, "logits_scaling": 8.0}),
    Family("granitemoeshared", {**_EXPERTS, "logits_scaling": 8.0, "shared_intermediate_size": 24}),
    Family(
        "granitemoehybrid",
        {
            **_EXPERTS,
            **_MAMBA,
            "shared_intermediate_size": 24,
            "layer_types": ["mamba", "attention"] * 2,
            "logits_scaling": 4.0,
        },
    ),
    Family("cohere", {"logit_scale": 0.25}),
    Family("cohere2", {"logit_scale": 0.25, "sliding_window": 16}),
    Family("deepseek_v2", {**_DEEPSEEK, **_MLA, "q_lora_rank": None}),
    Family("deepseek_v3", {**_DEEPSEEK, **_MLA}),
    Family("dots1", {**_DEEPSEEK, "sliding_window": None}),
    Family("glm", {"head_dim": 8, "partial_rotary_factor": 0.5}),
    Family("glm4", {"head_dim": 8, "partial_rotary_factor": 0.5}),
    Family("glm4_moe", {**_DEEPSEEK, "head_dim": 8, "partial_rotary_factor": 0.5}),
    Family("ernie4_5", {"head_dim": 8}),
    Family(
        "ernie4_5_moe", {"moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 24, "moe_num_shared_experts": 1}
    ),
    Family("exaone4", {"sliding_window": 16, "sliding_window_pattern": 2}),
    Family("hunyuan_v1_dense", {"head_dim": 8}),
    Family("hunyuan_v1_moe", {"head_dim": 8, "num_experts": 4, "moe_topk": 2}),
    Family("helium", {"head_dim": 8}),
    Family("smollm3"),
    Family("seed_oss", {"head_dim": 8}),
    Family("apertus"),
    Family("arcee"),
    Family("nemotron"),
    Family("persimmon"),
    Family("mpt", {"expansion_ratio": 2, "max_seq_len": 512}),
    Family("codegen", {"rotary_dim": 4}),
    Family("biogpt"),
    Family("xglm", {"ffn_dim": 48}),
    Family("gpt_oss", {**_EXPERTS, "head_dim": 8, "sliding_window": 16}),
    Family(
        "minimax",
        {**_EXPERTS, "block_size": 16, "layer_types": ["linear_attention", "full_attention"] * 2, "head_dim": 8},
    ),
    Family("minimax_m2", {**_EXPERTS, "head_dim": 8, "rotary_dim": 4}),
    Family("bamba", {**_MAMBA, "attn_layer_indices": [1, 3]}),
    Family(
        "jamba",
        {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "mamba_d_state": 8,
            "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
    ),
    Family(
        "zamba2",
        {
            "mamba_d_state": 8,
            "mamba_headdim": 8,
            "mamba_ngroups": 1,
            "n_mamba_heads": 8,
            "chunk_size": 16,
            "num_key_value_heads": 4,
            "layers_block_type": ["mamba", "hybrid"] * 2,
            "num_mem_blocks": 1,
            "adapter_rank": 4,
        },
    ),
    Family("mamba", {"state_size": 8}),
    Family("mamba2", {"state_size": 8, "head_dim": 8, "num_heads": 8, "n_groups": 1, "chunk_size": 16}),
    Family("falcon_mamba", {"state_size": 8}),
    Family("falcon_h1", {**_MAMBA, "mamba_d_ssm": 64}),
    Family("lfm2", {"layer_types": ["conv", "full_attention"] * 2, "block_ff_dim": 48}),
    Family(
        "recurrent_gemma", {"lru_width": 32, "attention_window_size": 64, "block_types": ["recurrent", "attention"]}
    ),
    Family("jetmoe", {"num_local_experts": 4, "num_experts_per_tok": 2, "kv_channels": 8, "num_key_value_heads": 2}),
    Family("modernbert-decoder", {"local_attention": 16, "global_attn_every_n_layers": 2}),
    Family("nanochat"),
    Family("diffllama"),
    Family("doge"),
    Family("bitnet"),
    Family("mistral4"),
    Family("vaultgemma", {"head_dim": 8, "sliding_window": 16}),
    Family("exaone", {"sliding_window": None}),
    Family("olmo_hybrid", {}),
    Family("flex_olmo", {"num_experts": 4, "num_experts_per_tok": 2}),
    Family(
        "lfm2_moe",
        {
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "layer_types": ["conv", "full_attention"] * 2,
            "num_dense_layers": 1,
        },
    ),
    Family("nemotron_h", {}),
    Family("zamba", {}),
    Family("rwkv"),
    Family("xlstm"),
    Family("ctrl"),
    Family("openai-gpt"),
    Family("rwkv"),
    Family("dbrx", {}),
    Family("llama4_text", {**_EXPERTS, "head_dim": 8, "intermediate_size_mlp": 48, "attention_chunk_size": 16}),
    Family("qwen3_vl_text", {"head_dim": 8}),
    Family("mllama_text_model", {}),
    Family("xlnet", {}),
    Family("afmoe", {}),
    Family("solar_open", {}),
    Family("kimi_linear", {}),
    Family("longcat_flash", {}),
    Family("hrm_text", {}),
    Family("youtu", {}),
]


def tiny(family: Family, seed: int = 0, **more: Any) -> Any:
    """Return a tiny random model."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = CONFIG_MAPPING[family.name]
    if family.text is not None:
        config = kind(text_config={**_COMMON, **family.text}, **family.settings, **more)
    else:
        config = kind(**{**_COMMON, **family.settings, **more})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config)
