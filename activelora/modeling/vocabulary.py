"""What tokenizer and model must agree on: every token has a row in the embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activelora.errors import ModelError
from activelora.modeling.special_tokens import media_strings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    """Check that no token of a tokenizer lies beyond the embeddings.

    Tokens that stand for images or sound may: a model that reads text alone has none, and no text is given them.

    Args:
        tokenizer: The model's tokenizer.
        model: The model, or its skeleton.

    Raises:
        ModelError: The tokenizer has more tokens than the embeddings have rows.
    """
    num_rows = int(model.get_input_embeddings().weight.shape[0])
    media = media_strings(tokenizer)
    vocabulary = tokenizer.get_vocab()
    beyond = sorted((id_, token) for token, id_ in vocabulary.items() if id_ >= num_rows and token not in media)
    if not beyond:
        return
    shown = ", ".join(f"{token!r} ({id_})" for id_, token in beyond[:3]) + (", ..." if len(beyond) > 3 else "")
    raise ModelError(
        f"the tokenizer has token ids up to {beyond[-1][0]}, and the model's embeddings have {num_rows} rows, for ids "
        f"up to {num_rows - 1}; without a row: {shown}",
        where="model.base",
        remedy="Give the model rows for them and save it (model.resize_token_embeddings(len(tokenizer))), or take the "
        "added tokens out of the tokenizer.",
    )
