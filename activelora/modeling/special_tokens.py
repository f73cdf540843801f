"""Special tokens that users' texts spell out: ``<|im_end|>`` in a mail ends no message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING

from activelora.campaign.records import Item

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Marks = Mapping[str, str]
"""A character that stands for a special token's string in a text → that string."""
NO_MARKS: Marks = {}
_MEDIA = ("image_token", "audio_token", "video_token")
_PRIVATE = range(0xF0000, 0xFFFFE)


class SpecialTokens:
    """Finds the strings of special tokens in users' texts, and gives them the tokens of plain text.

    A character that nobody uses stands for such a string until the prompt is made, so that it is told from the special
    tokens of the chat template and of the prompt's own words. All other texts have the tokens that they always had.

    Args:
        tokenizer: The base model's tokenizer.
        as_text: Whether special tokens in users' texts become text; those that stand for images and sound always do.
        own_text: Words of the campaign's prompt.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, as_text: bool, own_text: str = "") -> None:
        self._tokenizer = tokenizer
        self._own_text = own_text
        every = special_strings(tokenizer) | media_strings(tokenizer)
        chosen = sorted(every if as_text else media_strings(tokenizer))
        self._every, self._chosen = any_of(frozenset(every)), any_of(frozenset(chosen))
        self._ids = frozenset(one for one in tokenizer.convert_tokens_to_ids(chosen) if one is not None)
        unknown, *ends = (getattr(tokenizer, f"{name}_token_id", None) for name in ("unk", "bos", "eos"))
        # A text may hold characters that the tokenizer does not know; in GPT-2 their token is that of the end.
        self._never_text = self._ids - ({unknown} - {*ends})

    def are_spelled_in(self, item: Item) -> bool:
        """Tell whether a text of an item spells out a special token, whatever comes of it."""
        return any(self._every.search(text) for text in _texts(item))

    def mark(self, item: Item) -> tuple[Item, Marks]:
        """Return the item with characters in place of special tokens' strings, and what each stands for."""
        if not any(self._chosen.search(text) for text in _texts(item)):
            return item, NO_MARKS
        marks = self._marks(list(_texts(item)))
        fields = {name: _marked(text, marks) for name, text in item.fields.items()}
        return replace(item, fields=fields, choices=tuple(_marked(choice, marks) for choice in item.choices)), marks

    def mark_text(self, text: str) -> tuple[str, Marks]:
        """Return a text of a user with characters in place of special tokens' strings, and what each stands for."""
        if not self._chosen.search(text):
            return text, NO_MARKS
        marks = self._marks([text])
        return _marked(text, marks), marks

    def encode(self, text: str, marks: Marks, *, adds_special_tokens: bool) -> list[int]:
        """Return a text's ids; what its marks stand for has those of plain text."""
        if not marks:
            return list(self._tokenizer(text, add_special_tokens=adds_special_tokens)["input_ids"])
        plain, spans = _restored(text, marks)
        if not getattr(self._tokenizer, "is_fast", False):
            return self._in_pieces(plain, spans, adds_special_tokens)
        encoding = self._tokenizer(plain, add_special_tokens=adds_special_tokens, return_offsets_mapping=True)
        ids: list[int] = []
        for token, (begin, end) in zip(encoding["input_ids"], encoding["offset_mapping"], strict=True):
            if token in self._ids and any(begin < last and first < end for first, last in spans):
                ids += self._as_text(plain[begin:end])
            else:
                ids.append(token)
        return ids

    def _in_pieces(self, plain: str, spans: list[tuple[int, int]], adds_special_tokens: bool) -> list[int]:
        """Encode without a tokenizer that says where its tokens come from."""
        first = plain[: spans[0][0]]
        ids = list(self._tokenizer(first, add_special_tokens=adds_special_tokens)["input_ids"])
        ends = [*(begin for begin, _ in spans[1:]), len(plain)]
        for (begin, end), next_begin in zip(spans, ends, strict=True):
            ids += self._as_text(plain[begin:end])
            ids += self._tokenizer(plain[end:next_begin], add_special_tokens=False)["input_ids"]
        return ids

    def _as_text(self, text: str) -> list[int]:
        options = {"add_special_tokens": False, "split_special_tokens": True}
        ids = list(self._tokenizer(text, **options)["input_ids"])
        if self._never_text.isdisjoint(ids):
            return ids
        # Its vocabulary has the string as a piece of text too.
        ids = [token for character in text for token in self._tokenizer(character, **options)["input_ids"]]
        return [token for token in ids if token not in self._never_text]

    def _marks(self, texts: list[str]) -> Marks:
        found = sorted({one for text in texts for one in self._chosen.findall(text)})
        taken = set().union(self._own_text, *texts)
        free = (chr(code) for code in _PRIVATE if chr(code) not in taken)
        return dict(zip(free, found, strict=False))


def special_strings(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Return the strings of a tokenizer's special tokens."""
    added = tokenizer.added_tokens_decoder.values()
    return {str(one) for one in (*(one for one in added if one.special), *tokenizer.all_special_tokens) if str(one)}


def media_strings(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Return the strings of tokens that stand for an image or sound, as the tokenizer names them: no text has them."""
    named = (getattr(tokenizer, name, None) for name in _MEDIA)
    return {str(one) for one in named if one}


def _texts(item: Item) -> Iterator[str]:
    yield from item.fields.values()
    yield from item.choices


@lru_cache(maxsize=32)
def any_of(strings: frozenset[str]) -> re.Pattern[str]:
    """Return what finds any of these, the longest first; none finds nothing."""
    return re.compile(_branches(strings) or r"(?!)")


def _branches(strings: Iterable[str]) -> str:
    """Return an expression for any of these, as a tree: Gemma has 6,000 of them, which one by one take milliseconds."""
    by_first: dict[str, list[str]] = {}
    for string in sorted(set(strings) - {""}):
        by_first.setdefault(string[0], []).append(string)
    parts = []
    for some in by_first.values():
        first, last = some[0], some[-1]  # in order: what these two share, all do
        shared = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
        rest = _branches([one.removeprefix(shared) for one in some])
        parts.append(re.escape(shared) + (f"(?:{rest}){'?' if shared in some else ''}" if rest else ""))
    return "|".join(parts)


def _marked(text: str, marks: Marks) -> str:
    mark_of = {one: mark for mark, one in marks.items()}
    return any_of(frozenset(mark_of)).sub(lambda match: mark_of[match.group()], text)


def _restored(text: str, marks: Marks) -> tuple[str, list[tuple[int, int]]]:
    """Return the text without marks, and where in it what they stood for begins and ends."""
    parts: Iterable[str] = re.split(f"([{''.join(marks)}])", text)
    plain, spans = "", list[tuple[int, int]]()
    for part in parts:
        string = marks.get(part, part)
        if part in marks:
            spans.append((len(plain), len(plain) + len(string)))
        plain += string
    return plain, spans
