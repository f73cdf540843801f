"""Which key means which label, and how a typed line is read; and text that cannot control a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from activelora.campaign.records import Item, Label
from activelora.errors import LabelError
from activelora.tasks.task import Task
from activelora.tasks.written import LabelNumbers, read_label, whole_number

SKIP, UNDO, QUIT, HELP = "s", "u", "q", "?"
COMMANDS = (SKIP, UNDO, QUIT, HELP)
_POSITIONS = "123456789" + "".join(letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in COMMANDS)
_JOINERS = "\u200c\u200d"
"""Zero-width (non-)joiners: Persian words and many emoji need them, and they move nothing."""


@dataclass(frozen=True)
class Menu:
    """What can be answered about an item.

    Attributes:
        task: The task.
        item: The item.
        names: The labels or choices as shown; empty where any text or number may be typed.
        keys: A key for each, or empty: then names are typed.
        numbers: What a typed number means that is no key and no name: the campaign's ``data.label_numbers``.
    """

    task: Task
    item: Item
    names: tuple[str, ...]
    keys: tuple[str, ...]
    numbers: LabelNumbers = None

    @classmethod
    def of(cls, task: Task, item: Item, numbers: LabelNumbers = None) -> Menu:
        """Return the menu of an item.

        Labels that are single characters are their own keys; choices have their letters; yes and no are y and n;
        others are numbered, from 0 where the campaign's files number labels from 0, else from 1: a number means the
        same label on the keyboard and in a worksheet. Where a label's name is the key of another one, or there are too
        many, names are typed: nothing may be mistaken.

        Args:
            task: The task.
            item: The item.
            numbers: The campaign's ``data.label_numbers``.
        """
        if not task.kind.lists_labels:
            return cls(task, item, (), ())
        if task.kind.needs_choices:
            return cls(task, item, tuple(item.choices), _letters(item.choices))
        names = tuple(task.label_names)
        return cls(task, item, names, _keys(names, "0" * (numbers == "zero_based") + _POSITIONS), numbers)

    @property
    def is_typed(self) -> bool:
        """Whether an answer is a line of text; commands then begin with a colon."""
        return not self.keys

    def read(self, line: str) -> Label:
        """Return the label that a key or a line means.

        Raises:
            LabelError: It means none, or more than one.
        """
        text = line.strip()
        if not self.names:
            if not text:
                raise LabelError("nothing was typed")
            return self.task.parse_label(text, self.item)
        if self.task.kind.takes_several:
            return self._set(text)
        return self._index(text)

    def _index(self, text: str) -> int:
        folded = text.casefold()
        if folded in self.keys:
            return self.keys.index(folded)
        names = [name.strip().casefold() for name in self.names]
        if names.count(folded) == 1:
            return names.index(folded)
        if (label := self._by_worksheet(text)) is not None:
            return label
        found = [index for index, name in enumerate(names) if folded and name.startswith(folded)]
        if self.is_typed and len(found) == 1:
            return found[0]
        if self.is_typed and found:
            raise LabelError(f"{text[:60]!r} begins {len(found)} labels: type more of it")
        raise LabelError(f"{text[:60]!r} is no label here")

    def _by_worksheet(self, text: str) -> int | None:
        """Return which label a worksheet's cell of this text would be, for what is neither a key nor a name."""
        is_letter = self.task.kind.needs_choices and self.is_typed and len(text) == 1
        if whole_number(text) is None and not is_letter:
            return None
        several = self.task.kind.takes_several
        try:
            label = int(read_label(self.task, [text] if several else text, self.item, self.numbers))
        except LabelError:
            return None
        return label.bit_length() - 1 if several else label

    def _set(self, text: str) -> int:
        parts = [part.strip() for part in re.split(r"[;|]", text)]
        if len(parts) == 1 and self.keys:
            words = re.split(r"[\s,]+", text)
            parts = words if all(word.casefold() in self.keys for word in words) else parts
        if parts == [""]:
            raise LabelError("nothing was typed: `none` says that no label fits")
        if parts == ["none"] and "none" not in [name.strip().casefold() for name in self.names]:
            return 0
        return sum({1 << self._index(part) for part in parts})


def _letters(choices: Sequence[str]) -> tuple[str, ...]:
    """Return the letters of an item's choices; none where one is a command: other keys are others' letters."""
    letters = tuple("abcdefghijklmnopqrstuvwxyz"[: len(choices)])
    return () if set(letters) & set(COMMANDS) else _unmistakable(letters, _folded(choices))


def _keys(names: Sequence[str], positions: str) -> tuple[str, ...]:
    folded = _folded(names)
    if len(set(folded)) == len(folded) and all(len(name) == 1 and name not in COMMANDS for name in folded):
        return tuple(folded)
    if sorted(folded) == ["no", "yes"]:
        return tuple(name[0] for name in folded)
    return _unmistakable(positions[: len(names)], folded)


def _folded(names: Sequence[str]) -> list[str]:
    return [name.strip().casefold() for name in names]


def _unmistakable(keys: Sequence[str], folded: Sequence[str]) -> tuple[str, ...]:
    """Return the keys, or none where there are too few or one is the name of another label."""
    clash = any(key in folded and folded.index(key) != index for index, key in enumerate(keys))
    return () if len(keys) < len(folded) or clash else tuple(keys)


def visible(text: str) -> str:
    """Return text that can be written to a terminal: what is not printable is shown as its escape.

    New lines and tabs stay. Control characters, escape sequences, characters that turn the direction of writing and
    lone surrogates cannot pass: a pool's texts come from others.
    """
    return "".join(_visible(character) for character in text.replace("\r\n", "\n").replace("\t", "    "))


def visible_line(text: str) -> str:
    """Return text for one line of a terminal."""
    return visible(text).replace("\n", "\\n")


def _visible(character: str) -> str:
    if character.isprintable() or character == "\n" or character in _JOINERS:
        return character
    if character.isspace() and ord(character) in (0xA0, 0x3000, *range(0x2000, 0x200B), 0x202F, 0x205F):
        return " "
    return character.encode("unicode_escape").decode()
