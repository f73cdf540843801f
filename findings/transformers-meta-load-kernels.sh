#!/usr/bin/env bash
# A model that was loaded without values, on the meta device, cannot be any more: kernels from the hub are on by default.
#
# transformers 5.25.0 (https://github.com/huggingface/transformers), PreTrainedModel.from_pretrained; kernels 0.19, which
# it requires; torch 2.13.0, accelerate 1.16.0. To compare a checkpoint's names and shapes with a model, `device_map={"": "meta"}` loads it
# at no cost. Since 5.25 `use_kernels` is on unless it is switched off, and after loading the model is handed to the
# package `kernels` with its device, which refuses `meta` with a ValueError that names neither. With use_kernels=False,
# or USE_HUB_KERNELS=NO in the environment, it loads as before.
source "$(dirname "$0")/lib.sh"
environment torch==2.13.0 transformers==5.25.0 accelerate==1.16.0
program_prints "as it is: ValueError
use_kernels=False: loaded, missing: 0
USE_HUB_KERNELS=NO: loaded, missing: 0" <<'PYTHON'
import os

import torch
from transformers import LlamaConfig, LlamaForCausalLM

config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
with torch.device("meta"):
    state = LlamaForCausalLM(config).state_dict()


def told(name, **options):
    try:
        _, info = LlamaForCausalLM.from_pretrained(
            None, config=config, state_dict=state, device_map={"": "meta"}, output_loading_info=True, **options
        )
        print(f"> {name}: loaded, missing: {len(info['missing_keys'])}")
    except ValueError as error:
        print(f"> {name}: {type(error).__name__}")


told("as it is")
told("use_kernels=False", use_kernels=False)
os.environ["USE_HUB_KERNELS"] = "NO"
told("USE_HUB_KERNELS=NO")
PYTHON
