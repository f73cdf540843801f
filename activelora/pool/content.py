"""From a row to an item, its id and its label.

An item is what the model is shown: the columns that the prompt names, and its choices. Its id is the hash of that
content, so that the same item has the same id in every file, order and run. Content is normalised first: Unicode
NFC, line feeds for line ends, no white space at the ends.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping
from typing import Any, Literal

from activelora.campaign.records import Item, Label
from activelora.config import ColumnsConfig
from activelora.errors import DataError, LabelError
from activelora.formats.problems import Problems, missing_column
from activelora.formats.row import Row, Wanted
from activelora.tasks.task import Task

LabelUse = Literal["required", "optional", "ignored"]
"""Whether every row must have a gold label, may have one, or is read without."""

MAX_TEXT_CHARS = 1 << 20
MAX_CHOICES = 26
_ID_DIGITS = 20


def item_id(fields: Mapping[str, str], choices: tuple[str, ...]) -> str:
    """Return the hash of normalised content: `i` and 20 hexadecimal digits of its sha256.

    The letter keeps spreadsheets from reading an id such as 302e10... as a number.
    """
    content = json.dumps([sorted(fields.items()), choices], ensure_ascii=False, separators=(",", ":"))
    return "i" + hashlib.sha256(content.encode()).hexdigest()[:_ID_DIGITS]


def wanted_columns(task: Task, columns: ColumnsConfig, labels: LabelUse) -> Wanted:
    """Return the columns that a source must have, and those that are used if it has them."""
    required = list(task.columns)
    if task.kind.needs_choices:
        required.append(columns.choices)
    if columns.id is not None:
        required.append(columns.id)
    optional: list[str] = []
    if columns.label is not None and labels != "ignored":
        (required if labels == "required" else optional).append(columns.label)
    return Wanted(tuple(dict.fromkeys(required)), tuple(optional))


class RowParser:
    """Turns rows into items, and notes what is wrong with a row instead.

    Args:
        task: Names the columns and knows the labels.
        columns: Which columns mean what.
        labels: Whether gold labels are read.
        problems: Collector of what is wrong.
    """

    def __init__(self, task: Task, columns: ColumnsConfig, labels: LabelUse, problems: Problems) -> None:
        self._task = task
        self._columns = columns
        self._labels = labels
        self._problems = problems
        self._reads_blank = task.kind.blank_is_answer and labels == "required"  # no label is an answer there

    def parse(self, row: Row) -> tuple[Item, Label | None] | None:
        """Return item and gold label (None where there is none), or None for a row that cannot be used."""
        try:
            item = self._item(row)
            return item, self._label(row, item)
        except (DataError, LabelError) as error:
            self._problems.add(error)
            return None

    def _item(self, row: Row) -> Item:
        fields = {column: self._text(row, column) for column in self._task.columns}
        if not any(fields.values()):
            names = ", ".join(f"`{column}`" for column in fields)
            raise DataError(f"the item is empty: nothing but white space in {names}", where=row.where)
        choices = self._choices(row) if self._task.kind.needs_choices else ()
        source_id = None if self._columns.id is None else self._text(row, self._columns.id)
        return Item(item_id(fields, choices), fields, choices, source_id)

    def _text(self, row: Row, column: str) -> str:
        value = self._value(row, column)
        if value is None:
            raise DataError(f"column `{column}` has no value", where=row.where, remedy="Fill it in.")
        return as_text(value, f"column `{column}`", row.where)

    def _value(self, row: Row, column: str) -> Any:
        if column not in row.values:
            raise missing_column(column, row.values.keys(), row.where)
        return row.values[column]

    def _choices(self, row: Row) -> tuple[str, ...]:
        column = self._columns.choices
        value = self._value(row, column)
        remedy = 'Write a list of texts; in CSV as JSON: ["first", "second"].'
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                problem = f"column `{column}` holds {_shown(value)}, expected a JSON list"
                raise DataError(problem, where=row.where, remedy=remedy) from None
        if not isinstance(value, list):
            problem = f"column `{column}` holds {_shown(value)}, expected a list of choices"
            raise DataError(problem, where=row.where, remedy=remedy)
        if not 2 <= len(value) <= MAX_CHOICES:
            problem = f"column `{column}` has {len(value)} choices, expected 2 to {MAX_CHOICES}"
            raise DataError(problem, where=row.where)
        choices = tuple(
            as_text(choice, f"choice {number} in column `{column}`", row.where)
            for number, choice in enumerate(value, 1)
        )
        if "" in choices:
            problem = f"choice {choices.index('') + 1} in column `{column}` is empty"
            raise DataError(problem, where=row.where)
        return choices

    def label(self, raw: Any) -> Label | None:
        """Return the label that a cell means, for tasks whose labels do not depend on the item.

        Raises:
            DataError: It is missing.
            LabelError: It is none.
        """
        return self._label(Row({str(self._columns.label): raw}, "", 0), Item("", {}))

    def _label(self, row: Row, item: Item) -> Label | None:
        column = self._columns.label
        if column is None or self._labels == "ignored":
            return None
        raw = row.values.get(column)
        if raw is None or _is_nan(raw) or (isinstance(raw, str) and not raw.strip() and not self._reads_blank):
            if self._labels == "optional":
                return None
            if column not in row.values:
                raise missing_column(column, row.values.keys(), row.where)
            raise DataError(f"column `{column}` has no label", where=row.where, remedy="Label it, or remove the row.")
        if isinstance(raw, float) and raw.is_integer():
            raw = int(raw)  # tables with a gap in an integer column come back as floats
        try:
            return self._task.parse_label(raw, item)
        except LabelError as error:
            raise LabelError(f"column `{column}`: {error.problem}", where=row.where, remedy=error.remedy) from None


def normal_text(text: str) -> str:
    """Return a text in Unicode NFC, with line feeds for line ends and no white space at its ends."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def as_text(value: Any, what: str, where: str) -> str:
    """Return a cell as normalised text. Numbers, dates and truth values are written out.

    Args:
        value: The cell.
        what: How to call it in a message.
        where: Its place.

    Raises:
        DataError: It is a list or an object, far too long, or holds characters that no text may hold.
    """
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = normal_text(value)
    elif isinstance(value, int | float | decimal.Decimal | datetime.date | datetime.time) and not _is_nan(value):
        text = str(value)
    else:
        raise DataError(f"{what} holds {_shown(value)}, expected text", where=where)
    if len(text) > MAX_TEXT_CHARS:
        raise DataError(f"{what} holds {len(text)} characters, at most {MAX_TEXT_CHARS} are read", where=where)
    if "\x00" in text:
        raise DataError(f"{what} holds a NUL character", where=where, remedy="Remove it.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        problem = f"{what} holds half of a character (U+{ord(text[error.start]):04X}), which is not valid text"
        raise DataError(problem, where=where, remedy="It was cut or escaped wrongly: repair it.") from None
    return text


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | decimal.Decimal) and math.isnan(value)


def _shown(value: Any) -> str:
    kind = {list: "a list ", dict: "an object ", bytes: "bytes ", type(None): "nothing "}.get(type(value), "")
    shown = "" if value is None else repr(value)
    return f"{kind}{shown[:60]}{'...' if len(shown) > 60 else ''}".strip()
