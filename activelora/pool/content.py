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
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from activelora.campaign.records import Item, Label
from activelora.config import ColumnsConfig
from activelora.errors import DataError, LabelError
from activelora.formats.exports.export import Asked, Export
from activelora.formats.exports.tools import is_marked, read_export
from activelora.formats.problems import Problems, missing_column
from activelora.formats.row import Row, Wanted
from activelora.pool.label_readings import LabelReadings
from activelora.pool.votes import Vote, Votes
from activelora.tasks.task import Task
from activelora.tasks.written import is_no_label, read_label

LabelUse = Literal["required", "or_left_out", "optional", "ignored"]
"""Whether every row must have a gold label, is left out without one, may have one, or is read without."""

MAX_TEXT_CHARS = 1 << 20
MAX_CHOICES = 26
_ID_DIGITS = 20


def item_id(fields: Mapping[str, str], choices: tuple[str, ...]) -> str:
    """Return the hash of normalised content: `i` and 20 hexadecimal digits of its sha256.

    The letter keeps spreadsheets from reading an id such as 302e10... as a number.
    """
    content = json.dumps([sorted(fields.items()), choices], ensure_ascii=False, separators=(",", ":"))
    return "i" + hashlib.sha256(content.encode()).hexdigest()[:_ID_DIGITS]


def content_columns(task: Task, columns: ColumnsConfig) -> tuple[str, ...]:
    """Return the columns that make an item: those that the prompt names, and its choices."""
    return tuple(dict.fromkeys((*task.columns, *[columns.choices] * task.kind.needs_choices)))


def wanted_columns(task: Task, columns: ColumnsConfig, labels: LabelUse) -> Wanted:
    """Return the columns that a source must have, and those that are used if it has them."""
    required = list(content_columns(task, columns))
    if columns.id is not None:
        required.append(columns.id)
    optional: list[str] = []
    if columns.label is not None and labels != "ignored":
        (optional if labels == "optional" else required).append(columns.label)
    asked = asked_of(task, columns, labels)
    return Wanted(tuple(dict.fromkeys(required)), tuple(optional), partial(is_marked, asked=asked))


def asked_of(task: Task, columns: ColumnsConfig, labels: LabelUse) -> Asked:
    """Return what is looked for in rows that labelling tools have exported."""
    content = {*content_columns(task, columns), *[columns.id] * (columns.id is not None)}
    wanted = () if columns.label is None or labels == "ignored" else (columns.label,)
    return Asked(frozenset(map(str, content)), wanted, frozenset(task.label_names), task.kind.takes_several)


class RowParser:
    """Turns rows into items, and notes what is wrong with a row instead.

    Args:
        task: Names the columns and knows the labels.
        columns: Which columns mean what.
        labels: Whether gold labels are read.
        problems: Collector of what is wrong.
        readings: Says what numbers mean as labels, and counts what was read.
        cuts_long_texts: Cut texts that are too long, and note that; else they are a problem.
        needs_id: Whether rows without the user's own id are a problem, where the campaign names its column.
    """

    def __init__(
        self,
        task: Task,
        columns: ColumnsConfig,
        labels: LabelUse,
        problems: Problems,
        readings: LabelReadings | None = None,
        cuts_long_texts: bool = False,
        needs_id: bool = True,
    ) -> None:
        self._task = task
        self._needs_id = needs_id
        self._cuts_long_texts = cuts_long_texts
        self._has_cut = False
        self._columns = columns
        self._labels = labels
        self._problems = problems
        self._readings = readings or LabelReadings(task)
        self._needs_label = columns.label is not None and labels in ("required", "or_left_out")
        self._reads_blank = task.kind.blank_is_answer and self._needs_label  # no label is an answer there
        self._asked = asked_of(task, columns, labels)

    def parse(self, row: Row) -> tuple[Item, Label | Votes | None] | None:
        """Return item and gold label (None where there is none), or None for a row that cannot be used.

        A row of a labelling tool's export brings votes instead.
        """
        try:
            if (export := self._export(row)) is not None:
                return self._voted(replace(row, values=export.values), export)
            item = self._item(row)
            label = self._label(row, item)
        except (DataError, LabelError) as error:
            self._problems.add(error)
            return None
        if self._columns.label is not None and self._labels != "ignored":
            self._readings.add(row.values.get(self._columns.label), is_label=label is not None)
        if label is None and self._needs_label:
            self._readings.num_left_out += 1
            return None
        return item, label

    def _export(self, row: Row) -> Export | None:
        try:
            return read_export(row.values, self._asked)
        except DataError as error:
            raise DataError(error.problem, where=row.where, remedy=error.remedy) from None

    def _voted(self, row: Row, export: Export) -> tuple[Item, Votes] | None:
        item, column = self._item(row), str(self._columns.label)
        votes = []
        for one in export.annotations:
            label = self._label(replace(row, values={column: one.label}), item)
            self._readings.add(one.label, is_label=label is not None)
            votes += [] if label is None else [Vote(label, one.annotator, one.labeled_at)]
        self._readings.add_export(export)
        if not votes and self._needs_label:
            self._readings.num_left_out += 1
            return None
        return item, tuple(votes)

    def _item(self, row: Row) -> Item:
        fields = {column: self._text(row, column) for column in self._task.columns}
        if not any(fields.values()):
            names = ", ".join(f"`{column}`" for column in fields)
            raise DataError(f"the item is empty: nothing but white space in {names}", where=row.where)
        choices = self._choices(row) if self._task.kind.needs_choices else ()
        return Item(item_id(fields, choices), fields, choices, self.source_id(row))

    def source_id(self, row: Row) -> str | None:
        """Return the user's own id of a row; None where there is none, and none is needed.

        Raises:
            DataError: The campaign names its column, and the row has none; or it is no text.
        """
        column = self._columns.id
        if column is None or (not self._needs_id and row.values.get(column) in (None, "")):
            return None
        return self._text(row, column)

    def _text(self, row: Row, column: str) -> str:
        value = self._value(row, column)
        if value is None:
            raise DataError(f"column `{column}` has no value", where=row.where, remedy="Fill it in.")
        if self._cuts_long_texts and isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
            value = self._cut(normal_text(value), row)
        return as_text(value, f"column `{column}`", row.where)

    def _cut(self, text: str, row: Row) -> str:
        if len(text) > MAX_TEXT_CHARS and not self._has_cut:
            self._has_cut = True
            self._problems.note(f"texts of more than {MAX_TEXT_CHARS:,} characters were cut; the first: {row.where}")
        return text[:MAX_TEXT_CHARS]

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
            self._no_label(row, column)
            return None
        if isinstance(raw, float) and raw.is_integer():
            raw = int(raw)  # tables with a gap in an integer column come back as floats
        try:
            return read_label(self._task, raw, item, self._readings.label_numbers)
        except LabelError as error:
            if is_no_label(self._task, raw):
                self._no_label(row, column)
                return None
            raise LabelError(f"column `{column}`: {error.problem}", where=row.where, remedy=error.remedy) from None

    def _no_label(self, row: Row, column: str) -> None:
        if self._labels == "optional":
            return
        if column not in row.values:
            raise missing_column(column, row.values.keys(), row.where)
        if self._labels == "required":
            raise DataError(f"column `{column}` has no label", where=row.where, remedy="Label it, or remove the row.")


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
        problem = f"{what} holds {len(text)} characters, at most {MAX_TEXT_CHARS} are read"
        raise DataError(problem, where=where, remedy="Shorten it. `data.long_texts: cut` cuts an item's texts.")
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
