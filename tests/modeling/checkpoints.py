"""Tiny checkpoints with random weights, and ways to spoil them."""

from __future__ import annotations

import json
import struct

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
}


def write_checkpoint(folder, model_type, **settings):
    """Write a causal language model with random weights, and return its folder."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(model_type, **(SIZES | settings))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def change_weights(folder, change):
    """Let a function make other weights of a folder's single file."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    save_file(
        {name: value.clone().contiguous() for name, value in change(load_file(file)).items()}, file, {"format": "pt"}
    )
    return folder


def change_config(folder, **settings):
    """Set values in a folder's ``config.json``."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return folder


def write_header(file, tensors):
    """Write a safetensors file that has a true header, and holes in the place of values: it takes no space.

    Args:
        file: The file.
        tensors: Shapes by name, all in bfloat16.
    """
    entries, end = {}, 0
    for name, shape in tensors.items():
        begin, size = end, 2
        for number in shape:
            size *= number
        end = begin + size
        entries[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
    content = json.dumps(entries).encode()
    with file.open("wb") as sink:
        sink.write(struct.pack("<Q", len(content)) + content)
        sink.truncate(8 + len(content) + end)


def sharded(folder):
    """Save a folder's model in parts, with an index of them."""
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, max_shard_size="20KB")
    (folder / "model.safetensors").unlink()
    return folder
