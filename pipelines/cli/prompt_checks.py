"""What `check` finds in prompts: how the model's chat template treats them, and whether they fit into its context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from activelora.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from activelora.campaign.records import Item
    from activelora.config import TaskConfig
    from activelora.modeling.encoding import Encoder

NUM_EXAMINED = 1000
"""Pool items whose prompts are made: the first ones."""
_MIN_PROMPT_TOKENS = 16


class PromptFindings(NamedTuple):
    """What was found.

    Attributes:
        facts: What is there, as pairs of a name and words.
        warnings: What is allowed but looks wrong.
    """

    facts: list[tuple[str, str]]
    warnings: list[str]


def look_at_prompts(
    task: TaskConfig, encoder: Encoder, model: PreTrainedModel, items: Sequence[Item], *, num_answer_tokens: int
) -> PromptFindings:
    """Make the prompts of some items, and say what the model makes of them.

    Args:
        task: The task section.
        encoder: Makes the prompts.
        model: The model, or its skeleton.
        items: The first items of the pool.
        num_answer_tokens: Tokens that are run after a prompt.

    Raises:
        ModelError: A prompt cannot be made, or does not fit into the model.
    """
    found = PromptFindings([("prompt", _template_words(encoder, task))], [])
    if (num_spelled := sum(map(encoder.special_tokens.are_spelled_in, items))) > 0:
        texts = "text spells" if num_spelled == 1 else "texts spell"
        words = f"{num_spelled} of the first {len(items)} pool items: their {texts} out special tokens of the model"
        if task.special_tokens_in_text == "text":
            found.facts.append(("special tokens", f"{words}, which are read as plain text"))
        else:
            consequence = "which act as the model's own, so that a text can end the user's message"
            found.warnings.append(f"task.special_tokens_in_text: {words}, {consequence}")
    lengths = [encoder.num_tokens(item) for item in items]
    encoder.check_lengths(items)
    limit = task.max_prompt_tokens
    if warning := _context_warning(model, lengths, num_answer_tokens=num_answer_tokens, max_prompt_tokens=limit):
        found.warnings.append(warning)
    return found


def _template_words(encoder: Encoder, task: TaskConfig) -> str:
    """Return in words how prompts are given to the model."""
    chat = encoder.chat
    if chat is None:
        return "as it is, without a chat template"
    words = ["in the model's chat template"]
    if chat.takes_parts:
        words.append("as a part of the message")
    if chat.strips:
        words.append("without white space at its ends, which the template takes off")
    if chat.writes_date:
        words.append(f"dated {task.chat_date} (task.chat_date), whatever the day")
    return ", ".join(words)


def _context_warning(
    model: PreTrainedModel, lengths: Sequence[int], *, num_answer_tokens: int, max_prompt_tokens: int
) -> str | None:
    """Return a warning if prompts, with the tokens run after them, are longer than the model's context, or None.

    Raises:
        ModelError: The model has learned its positions one by one, and prompts may be longer than it has positions.
    """
    context = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    room = context - num_answer_tokens if isinstance(context, int) and context > 0 else None
    if context is None or room is None or max_prompt_tokens <= room:
        return None
    remedy = f"lower task.max_prompt_tokens to {room}"
    if room < _MIN_PROMPT_TOKENS:
        remedy = "use a model with a longer context"
    answers = f" and {num_answer_tokens} of answers" if num_answer_tokens else ""
    if _learns_positions(model, context):
        raise ModelError(
            f"prompts of up to {max_prompt_tokens} tokens{answers} do not fit into the model, which has learned "
            f"{context} positions",
            where="task.max_prompt_tokens",
            remedy=f"{remedy[0].upper()}{remedy[1:]}.",
        )
    num_longer = sum(length > room for length in lengths)
    if not num_longer:
        return None
    share = max(1, round(100 * num_longer / len(lengths)))
    return (
        f"the model's context has {context} tokens, and {share} % of the first {len(lengths)} pool items are longer "
        f"(up to {max(lengths)} tokens{answers}): prompts are cut only to task.max_prompt_tokens "
        f"{max_prompt_tokens}, and beyond their context models answer badly; {remedy}"
    )


def _learns_positions(model: PreTrainedModel, context: int) -> bool:
    """Tell whether positions are rows of a table, as in GPT-2, of which some models leave the first few unused."""
    from torch.nn import Embedding

    tokens = model.get_input_embeddings()
    tables = (one for one in model.modules() if isinstance(one, Embedding) and one is not tokens)
    return any(context <= table.num_embeddings <= context + 8 for table in tables)
