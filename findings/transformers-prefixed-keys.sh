#!/usr/bin/env bash
# A checkpoint whose keys carry a prefix loads without an error, as random weights.
#
# transformers 5.24.0 (https://github.com/huggingface/transformers), AutoModelForCausalLM.from_pretrained; torch 2.13.0.
# torch.compile names a module's parameters `_orig_mod.…`; a state dict saved from it holds valid tensors of the right
# shapes under these names. from_pretrained reports all keys as unexpected and all parameters as missing, in a table in
# the log, and goes on: each load draws new weights. The same with a classifier that is loaded as a language model: its
# body is right, its head is random. `output_loading_info=True` returns what the log says.
source "$(dirname "$0")/lib.sh"
environment torch==2.13.0 transformers==5.24.0
program_prints "as saved: two loads agree: True, missing: 0
prefixed: two loads agree: False, missing: 21
classifier: two loads agree: False, missing: 1" <<'PYTHON'
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)


def told(name, folder):
    ids = torch.arange(8)[None]
    loads = [AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True) for _ in range(2)]
    logits = [model(ids).logits for model, _ in loads]
    print(f"> {name}: two loads agree: {torch.equal(*logits)}, missing: {len(loads[0][1]['missing_keys'])}")


LlamaForCausalLM(config).save_pretrained("model")
told("as saved", "model")
weights = load_file("model/model.safetensors")
save_file({f"_orig_mod.{name}": value for name, value in weights.items()}, "model/model.safetensors", {"format": "pt"})
told("prefixed", "model")
LlamaForSequenceClassification(config).save_pretrained("classifier")
told("classifier", "classifier")
PYTHON
