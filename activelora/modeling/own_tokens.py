"""Which tokens of a prompt are an item's own, and which follow: what all of the campaign's prompts begin and end with.

Instructions, the template's words and the chat template are the same for every item. They are found without looking at
the pool: by encoding made-up items whose texts begin and end in different ways. So what is an item's own depends on the
item, the task and the tokenizer alone, never on its neighbours or its shard.

What all prompts begin with has not read the item, in a causal model: its states are the same for every item. What they
end with has read it.
Letters: T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from activelora.campaign.records import Item
from activelora.modeling.encoding import Encoder
from activelora.modeling.packing import num_shared

_TEXTS = ("Some words", "another line", "7 of 10", "(x) here")
"""Texts of made-up items, unlike each other at both ends. A text that a tokenizer joins with the words around it shares
fewer tokens: the joined one is the item's own."""
_CHOICES = (("Some words", "another line"), ("7 of 10", "here", "(x) there"))

Ids = tuple[int, ...]


class OwnTokens:
    """Finds the tokens that are an item's own.

    Args:
        encoder: Encodes the campaign's prompts.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def of(self, question: int, prompt_ids: Ids) -> range:
        """Return the positions of an item's own tokens: all T, if none is, as of empty texts.

        Args:
            question: Number of the item's question, from 0; more than one where each label is asked about.
            prompt_ids: The question's T tokens.
        """
        beginning, end = self._shared[question]
        first = _num_alike(prompt_ids, beginning)
        last = len(prompt_ids) - _num_alike(prompt_ids[::-1], end)
        return range(first, last) if first < last else range(len(prompt_ids))

    def after(self, question: int, prompt_ids: Ids) -> range:
        """Return the positions of what follows an item's own tokens; these themselves, if prompts end with them.

        A text that a tokenizer joins with all that follows leaves the last token.

        Args:
            question: Number of the item's question, from 0.
            prompt_ids: The question's T tokens.
        """
        _, end = self._shared[question]
        if not end:
            return self.of(question, prompt_ids)
        num = max(1, _num_alike(prompt_ids[::-1], end))
        return range(len(prompt_ids) - num, len(prompt_ids))

    @cached_property
    def _shared(self) -> list[tuple[Ids, Ids]]:
        """What all prompts of each question begin with, and what they end with, the last token first."""
        columns = self._encoder.task.columns
        items = [Item("", dict.fromkeys(columns, text), choices) for text in _TEXTS for choices in _CHOICES]
        questions = zip(*map(self._encoder.whole_prompts, items), strict=True)
        return [(_beginning(prompts), _beginning([ids[::-1] for ids in prompts])) for prompts in questions]


def _beginning(prompts: Sequence[Ids]) -> Ids:
    lowest, highest = min(prompts), max(prompts)
    return lowest[: num_shared(lowest, highest)]


def _num_alike(ids: Ids, shared: Ids) -> int:
    return len(shared) if ids[: len(shared)] == shared else num_shared(ids, shared)
