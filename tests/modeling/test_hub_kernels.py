"""Code that transformers would fetch from the hub for a model's layers is never asked for."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import activelora.modeling.base
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.integrations.hub_kernels import _kernels_enabled
assert not _kernels_enabled()
settings = LlamaConfig(
    hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, vocab_size=16
)
LlamaForCausalLM(settings).save_pretrained(sys.argv[1])
model = LlamaForCausalLM.from_pretrained(sys.argv[1])
print(model.use_kernels)
"""


def test_a_loaded_model_uses_no_code_from_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("USE_HUB_KERNELS", "YES")  # whatever the machine says
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.strip() == "False", done.stderr
