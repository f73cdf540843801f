"""A randomly initialised Llama of a few kilobytes with a real byte-level tokenizer: for logic, never for accuracy."""

from __future__ import annotations

from pathlib import Path

CORPUS = [
    "Question: How far is the moon from the earth ? Answer type: number",
    "Question: Who wrote the play ? Answer type: human",
    "Question: Where is the river ? Answer type: location",
    "Question: What does the word mean ? Answer type: description entity abbreviation yes no",
    " ".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ") + " water fire red green blue",
    "; " + " ".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
]


def write_tiny_model(folder: Path, num_layers: int = 4, seed: int = 0) -> Path:
    """Write model and tokenizer into a folder and return it."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=440, special_tokens=["<eos>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS * 4, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>").save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=num_layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        initializer_range=0.3,
        eos_token_id=0,
        bos_token_id=None,
        pad_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder
