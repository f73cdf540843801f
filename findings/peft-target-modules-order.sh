#!/usr/bin/env bash
# The same adapter saved by two processes has different bytes.
#
# peft 0.21.2 (https://github.com/huggingface/peft), PeftModel.save_pretrained; torch 2.13.0, transformers 5.24.0.
# `target_modules` is a set, and is written to adapter_config.json in the order that this process's hashing of texts gives
# it. The weights are the same bytes; a digest over the folder is not. Here two processes differ in PYTHONHASHSEED alone,
# which Python draws by itself at each start.
source "$(dirname "$0")/lib.sh"
environment torch==2.13.0 transformers==5.24.0 peft==0.21.2
program_prints "weights are equal: True
configurations are equal: False
configurations are equal, target_modules sorted: True" <<'PYTHON'
import json
import os
import subprocess
import sys
from pathlib import Path

SAVE = """
import sys, torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4)
targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
get_peft_model(LlamaForCausalLM(config), LoraConfig(task_type="CAUSAL_LM", target_modules=targets)).save_pretrained(sys.argv[1])
"""
for seed in ("1", "2"):
    subprocess.run([sys.executable, "-c", SAVE, seed], check=True, env={**os.environ, "PYTHONHASHSEED": seed})
weights, configs = ([Path(seed, name).read_bytes() for seed in "12"] for name in ("adapter_model.safetensors", "adapter_config.json"))
print("> weights are equal:", weights[0] == weights[1])
print("> configurations are equal:", configs[0] == configs[1])
loaded = [json.loads(one) for one in configs]
for one in loaded:
    one["target_modules"].sort()
print("> configurations are equal, target_modules sorted:", loaded[0] == loaded[1])
PYTHON
