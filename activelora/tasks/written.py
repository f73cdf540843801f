"""How labels are written in data and answers: by name, or by number where that is said.

A number is the label of that name, where there is one. Else it can mean two labels, counted from 0 or from 1, and is
read only as ``data.label_numbers`` says. This stands before :meth:`~activelora.tasks.task.Task.parse_label`, which
knows names alone, at every door that labels come in by.
"""

from __future__ import annotations

import decimal
import json
import re
import unicodedata
from functools import lru_cache
from numbers import Integral
from typing import Literal

from activelora.campaign.records import Item, Label
from activelora.errors import LabelError
from activelora.tasks.task import Task

LabelNumbers = Literal["zero_based", "one_based"] | None
"""What a number that names no label means; None: nothing."""
NO_LABEL = -1
"""What stands for no label in data of programs that number labels from 0."""
_TOO_LARGE = 1e18
_WHOLE = re.compile(r"-?\d{1,18}(\.0+)?")
_QUOTES = "\"'`“”„«»‘’"
MAX_SHOWN = 20


def whole_number(raw: object) -> int | None:
    """Return the whole number that a cell holds, also as 1.0, which a gap in a column makes of 1; None for others."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, Integral):
        return int(raw)
    if isinstance(raw, float | decimal.Decimal):
        return int(raw) if abs(float(raw)) < _TOO_LARGE and raw == int(raw) else None
    if not isinstance(raw, str):
        return None
    text = raw.strip().strip(_QUOTES).strip()
    return int(text.partition(".")[0]) if _WHOLE.fullmatch(text) else None


def find_label(names: tuple[str, ...], raw: object) -> int | None:
    """Return which of the labels is written; None if it is none, or not plainly one.

    Upper and lower case count as the same, and so do blanks and quotes around a name, and 1 and 1.0 for a label that is
    a number.

    Args:
        names: Names of the labels.
        raw: A cell, or one of several labels in it.
    """
    by_name, by_plain, by_number = _known(names)
    text = str(raw)
    found = by_name.get(text.strip().casefold())
    if found is None and by_number and (number := whole_number(raw)) is not None:
        found = by_number.get(number)
    return by_plain.get(plain_name(text)) if found is None else found


def refuse(names: tuple[str, ...], raw: object) -> LabelError:
    """Return the problem of what is none of the labels."""
    shown = ", ".join(names[:MAX_SHOWN]) + (", ..." if len(names) > MAX_SHOWN else "")
    return LabelError(f"{str(raw)[:80]!r} is not a label of this task; it has: {shown}")


def split_labels(raw: object) -> list[str]:
    """Return the labels of a set: of a list, as such or as JSON, or of a text with ; or | between them.

    Raises:
        LabelError: It begins as a JSON list and is none.
    """
    if isinstance(raw, str) and raw.strip().startswith("["):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            raise LabelError(f"{str(raw)[:80]!r} is not a JSON list of labels") from None
    if isinstance(raw, list | tuple):
        return [str(part).strip() for part in raw]
    parts = [part.strip() for part in re.split(r"[;|]", str(raw))]
    return [] if parts == [""] else parts


def read_label(task: Task, raw: object, item: Item, numbers: LabelNumbers) -> Label:
    """Return the label that a data file or a person wrote.

    Args:
        task: The task.
        raw: What was written.
        item: The item it is about.
        numbers: The campaign's ``data.label_numbers``.

    Raises:
        LabelError: It is none of the task's labels, or a number of which nobody has said what it means.
    """
    written = _by_name(task, raw, numbers)
    try:
        return task.parse_label(written, item)
    except LabelError:
        number = whole_number(written) if isinstance(written, str) else None
        if number is None or str(number) == str(written).strip():
            raise
    return task.parse_label(str(number), item)


def numbers_read(task: Task, raw: object, numbers: LabelNumbers) -> list[int]:
    """Return the numbers in a label that :func:`read_label` has read as labels by their place."""
    if numbers is None or not task.kind.numbered:
        return []
    parts = split_labels(raw) if task.kind.takes_several else [raw]
    found = (whole_number(part) for part in parts if find_label(tuple(task.label_names), part) is None)
    return [number for number in found if number is not None]


def is_no_label(task: Task, raw: object) -> bool:
    """Tell whether a cell that :func:`read_label` refuses says that there is no label."""
    return task.kind.lists_labels and whole_number(raw) == NO_LABEL


def label_of_number(names: tuple[str, ...], number: int, numbers: LabelNumbers) -> str | None:
    """Return the label of a number, counted from 0 or from 1; None if there is none."""
    index = number - (numbers == "one_based")
    return names[index] if 0 <= index < len(names) else None


def _by_name(task: Task, raw: object, numbers: LabelNumbers) -> object:
    """Return what was written with names in place of numbers, where labels have numbers."""
    if not task.kind.numbered:
        return raw
    names = tuple(task.label_names)
    if task.kind.takes_several:
        return [_name_of(names, part, numbers) for part in split_labels(raw)]
    return _name_of(names, raw, numbers)


def _name_of(names: tuple[str, ...], raw: object, numbers: LabelNumbers) -> object:
    number = whole_number(raw)
    if number is None or _known(names)[2] or find_label(names, raw) is not None:
        return raw  # beside labels that are numbers, no other number is a place in the list
    if numbers is not None:
        name = label_of_number(names, number, numbers)
        if name is None:
            first = int(numbers == "one_based")
            raise LabelError(
                f"`{number}` is the number of no label: by data.label_numbers {numbers} they are {first} to "
                f"{first + len(names) - 1}"
            )
        return name
    from_0, from_1 = (label_of_number(names, number, way) for way in ("zero_based", "one_based"))
    if from_0 is None and from_1 is None:
        return raw
    shown = [f"`{name}`" if name is not None else "no label" for name in (from_0, from_1)]
    raise LabelError(
        f"`{number}` is a number: from 0 it is {shown[0]}, from 1 {shown[1]}; write the label's name, or set "
        "data.label_numbers to zero_based or one_based"
    )


@lru_cache(maxsize=64)
def _known(names: tuple[str, ...]) -> tuple[dict[str, int], dict[str, int], dict[int, int | None]]:
    """Return the labels by their names, by their plain names, and by the numbers that they are: each means one."""
    numbers = [whole_number(name) for name in names]
    plain = [plain_name(name) for name in names]
    by_name = {name.strip().casefold(): index for index, name in enumerate(names)}
    by_plain = {name: index for index, name in enumerate(plain) if plain.count(name) == 1}
    by_number = {
        number: index if numbers.count(number) == 1 else None
        for index, number in enumerate(numbers)
        if number is not None
    }
    return by_name, by_plain, by_number


def plain_text(text: str) -> str:
    """Return an answer without case, white space and punctuation at its ends, and with one blank between words."""
    return " ".join(text.casefold().split()).strip(" .,;:!?\"'")


def plain_name(text: str) -> str:
    """Return a label's name without case, blanks and quotes around it, and with one blank between words."""
    return " ".join(unicodedata.normalize("NFC", text).strip().strip(_QUOTES).casefold().split())
