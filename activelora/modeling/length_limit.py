"""How long texts may be before a model's rotations depend on the longest text that runs beside them.

Two ways to stretch rotary positions look at the longest text of a batch: LongRoPE (Phi-3, arXiv:2402.13753) takes other
factors for all texts once one is beyond the original context, and dynamic NTK scaling other frequencies. A text's
numbers are its own only while no text is that long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from activelora.errors import ModelError

_LEAST_PROMPT_TOKENS = 16
"""What task.max_prompt_tokens is at least."""


def length_limit(config: Any) -> int | None:
    """Return the number of tokens up to which rotations are those of a text alone, or None where they always are.

    Args:
        config: A model's transformers configuration; that of its text decoder is looked at.
    """
    text = config.get_text_config(decoder=True)
    limits = [limit for rotation in _rotations(text) if (limit := _limit(rotation, text)) is not None]
    return min(limits, default=None)


def check_lengths(limit: int | None, max_prompt_tokens: int, num_answer_tokens: int) -> None:
    """Check that no text becomes longer than rotations allow.

    Args:
        limit: What :func:`length_limit` says.
        max_prompt_tokens: The most tokens of a prompt.
        num_answer_tokens: The most tokens that are run after one.

    Raises:
        ModelError: Texts may be longer.
    """
    if limit is None or max_prompt_tokens + num_answer_tokens <= limit:
        return
    room = limit - num_answer_tokens
    remedy = f"Lower task.max_prompt_tokens to {room}."
    if room < _LEAST_PROMPT_TOKENS:
        remedy = "Use a model with a longer original context, or shorter answers."
    answers = f" and {num_answer_tokens} of answers" if num_answer_tokens else ""
    raise ModelError(
        f"prompts of up to {max_prompt_tokens} tokens{answers} are too long for the model: where one text has more "
        f"than {limit}, it rotates positions otherwise in all texts that run beside it, whose numbers then change",
        where="task.max_prompt_tokens",
        remedy=remedy,
    )


def _rotations(text: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what is set of rotations: once for all layers, or once for each type of layer."""
    for name in ("rope_parameters", "rope_scaling"):
        settings = getattr(text, name, None)
        if isinstance(settings, Mapping):
            yield settings
            yield from (one for one in settings.values() if isinstance(one, Mapping))


def _limit(rotation: Mapping[str, Any], text: Any) -> int | None:
    kind = rotation.get("rope_type") or rotation.get("type")
    context = getattr(text, "max_position_embeddings", None)
    if kind == "longrope":
        original = rotation.get("original_max_position_embeddings")
        own = getattr(text, "original_max_position_embeddings", None)
        return int(original or own or context or 0) or None
    if isinstance(kind, str) and "dynamic" in kind and context:
        return int(context) - 1  # a text of just as many tokens does not take back what a longer one has changed
    return None
