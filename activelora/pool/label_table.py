"""A table as a kind of task sees it: is its label column one of mine, and what would I make of it?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from activelora.pool.profile import Column
from activelora.tasks.written import plain_name, whole_number

MAX_CLASSES = 500
MAX_LISTED = 20
"""Labels that a prompt lists."""
_MAX_LABEL_CHARS = 60
_SHORT_LABEL_CHARS = 30
_FEW_CLASSES = 20


class Line(NamedTuple):
    """A setting of the section ``task``.

    Attributes:
        key: Its name.
        value: The value; a text of several lines is written as such.
        reason: Why it has that value, in a sentence; empty where there is nothing to say.
    """

    key: str
    value: object
    reason: str = ""


@dataclass(frozen=True)
class Table:
    """What is known of a table.

    Attributes:
        texts: The columns that the model is shown.
        label: The column of labels.
        choices: The column of choices; None where there is none.
        begin_differently: Tells whether all answers begin with different tokens of the model; None where no tokenizer
            is here to ask.
    """

    texts: tuple[Column, ...]
    label: Column
    choices: Column | None = None
    begin_differently: Callable[[Sequence[str]], bool] | None = None

    @property
    def shown(self) -> str:
        """The beginning of a prompt: a line for each text column."""
        return "".join(f"{words_of(column.name)}: {{{column.name}}}\n" for column in self.texts)

    @property
    def asked(self) -> str:
        """The label column's name in words, as a prompt asks for it."""
        return words_of(self.label.name)

    @property
    def has_classes(self) -> bool:
        """Whether the label column names classes, as far as its values tell: short ones that come again."""
        label = self.label
        if label.is_lists:
            is_one_each = not label.num_several and not label.num_json
            return is_one_each and 2 <= len(label.parts or ()) <= label.num_filled / 2
        if not 2 <= label.num_values <= MAX_CLASSES or label.mean_chars > _MAX_LABEL_CHARS:
            return False
        is_few = label.num_values <= _FEW_CLASSES and label.mean_chars <= _SHORT_LABEL_CHARS
        return is_few or label.num_values <= label.num_filled / 2


@dataclass(frozen=True)
class Draft:
    """What a campaign for a table would ask.

    Attributes:
        kind: The kind of task.
        reason: Why it is that one, in words.
        lines: The other settings of the section ``task``.
    """

    kind: str
    reason: str
    lines: tuple[Line, ...]


def words_of(name: str) -> str:
    """Return a column's name as words: of `fields.body_text`, Body text."""
    words = name.rpartition(".")[2].replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def one_spelling(values: dict[str, int]) -> list[str]:
    """Return labels, the most frequent first: of those that differ in case, blanks and quotes only, the commonest.

    Args:
        values: Label as written to the rows that hold it; -1, which stands for no label, is left out where there are
            labels that are no number below 0.
    """
    ordered = sorted(values, key=lambda name: (-values[name], name))
    if any((whole_number(name) or 0) >= 0 for name in ordered):
        ordered = [name for name in ordered if whole_number(name) != -1]
    found: dict[str, str] = {}
    for name in ordered:
        found.setdefault(plain_name(name), name.strip())
    return list(found.values())


def counted(column: Column, names: Sequence[str], most: int = 12) -> str:
    """Return labels with the rows that hold each, as `spam 31, ham 12`.

    Args:
        column: The label column.
        names: The labels.
        most: Labels that are named.
    """
    counts: dict[str, int] = {}
    values = column.parts if column.num_several or column.is_lists else column.values
    for value, count in (values or {}).items():
        counts[plain_name(value)] = counts.get(plain_name(value), 0) + count
    shown = ", ".join(f"{name} {counts.get(plain_name(name), 0)}" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
