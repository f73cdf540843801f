"""Small tokenizers of several kinds, each with special tokens, made in memory."""

from __future__ import annotations

from tests.tiny_model import CORPUS

SPECIAL = ["<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>"]


def byte_level():
    """Bytes and merges, as in Llama 3 and Qwen; puts `<s>` before every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    return _trained(tokenizer, trainer)


def metaspace():
    """Merges of words with a sign for the space before them, as in Llama 2."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    characters = sorted({*"".join(CORPUS), *"<>/|_"})
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=characters, show_progress=False
    )
    return _trained(tokenizer, trainer)


def unigram():
    """The likeliest pieces, as in T5; its vocabulary has the special tokens' strings as pieces too."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    characters = sorted({*"".join(CORPUS), *"<>/|_▁\n:"})
    pieces = [(one, 0.0) for one in SPECIAL] + [(one, -6.0) for one in characters] + [("▁moon", -3.0), ("▁the", -3.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    return _trained(tokenizer, None)


KINDS = {"byte_level": byte_level, "metaspace": metaspace, "unigram": unigram}


def _trained(tokenizer, trainer):
    from tokenizers import AddedToken, processors
    from transformers import PreTrainedTokenizerFast

    if trainer is not None:
        tokenizer.train_from_iterator(CORPUS * 4, trainer)
    tokenizer.add_special_tokens([AddedToken(one, special=True) for one in SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=SPECIAL[3:],
    )
