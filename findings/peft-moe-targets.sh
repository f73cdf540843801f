#!/usr/bin/env bash
# In a mixture of experts, LoRA asked for on the dense layer by its full path sits on the experts of another layer.
#
# peft 0.21.2 (https://github.com/huggingface/peft), get_peft_model; torch 2.13.0, transformers 5.24.0.
# A DeepSeek-V3 whose layer 0 has a plain MLP and whose layer 1 has routed experts and a shared one. target_modules names
# the three linear layers of layer 0 in full. What carries adapters in the end is the experts of layer 1, which
# transformers keeps in one parameter for all, and layer 0 has none: peft turns every target that ends in gate_proj,
# up_proj or down_proj into the fused parameters, whatever stands before. A regular expression for layer 0 does the same,
# and so does the shared expert's path. Nothing is logged.
source "$(dirname "$0")/lib.sh"
environment torch==2.13.0 transformers==5.24.0 peft==0.21.2
program_prints "asked for: layers.0.mlp.gate_proj, layers.0.mlp.up_proj, layers.0.mlp.down_proj
adapted:   layers.1.mlp.experts
as a regular expression: layers.1.mlp.experts
the shared expert:       layers.1.mlp.experts" <<'PYTHON'
from peft import LoraConfig, get_peft_model
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

config = DeepseekV3Config(
    vocab_size=64, hidden_size=32, intermediate_size=64, moe_intermediate_size=16, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=4, n_routed_experts=4, n_shared_experts=1, num_experts_per_tok=2,
    n_group=1, topk_group=1, first_k_dense_replace=1, q_lora_rank=None, kv_lora_rank=16, qk_rope_head_dim=8,
    qk_nope_head_dim=8, v_head_dim=8,
)


def adapted(targets):
    model = get_peft_model(DeepseekV3ForCausalLM(config), LoraConfig(task_type="CAUSAL_LM", target_modules=targets))
    names = {name.split(".lora_")[0] for name, _ in model.named_parameters() if "lora_" in name}
    return ", ".join(sorted({name.removesuffix(".base_layer").split(".model.model.")[-1] for name in names}))


parts = ("gate_proj", "up_proj", "down_proj")
print("> asked for:", ", ".join(f"layers.0.mlp.{part}" for part in parts))
print("> adapted:  ", adapted([f"model.layers.0.mlp.{part}" for part in parts]))
print("> as a regular expression:", adapted(r"model\.layers\.0\.mlp\.(gate_proj|up_proj|down_proj)"))
print("> the shared expert:      ", adapted([f"model.layers.1.mlp.shared_experts.{part}" for part in parts]))
PYTHON
