"""What the columns of a table hold, before anybody has said what they mean."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from activelora.config import SourceConfig
from activelora.formats.exports.export import Asked
from activelora.formats.exports.tools import read_export
from activelora.formats.problems import Problems
from activelora.formats.reader import read_table
from activelora.formats.row import Row, with_inner
from activelora.pool.files import find_files
from activelora.tasks.written import whole_number

MAX_ROWS = 200_000
"""Rows that are looked at; of longer files the first ones."""
MAX_VALUES = 5_000
"""Different values that are counted; a column with more has no counts."""
EXPORTED_LABEL = "label"
"""The column that the labels of a labelling tool's export get."""
_WHOLE = re.compile(r"-?\d+\.0+")
"""What a gap makes of a whole number, in a column of them."""
_SEPARATORS = ("|", ";")


@dataclass
class Column:
    """What one column holds.

    Attributes:
        name: Its name.
        num_filled: Rows with something in it; NaN and white space are nothing.
        num_numbers: Rows with a number, also one that is written as text.
        num_lists: Rows with a list, also one that is written as JSON.
        num_json: Rows with a list that is written as JSON.
        num_several: Rows with several values: in a list, or with | or ; between them.
        num_chars: Characters in all its texts.
        values: Its values as people write them, to the rows that hold each; None where there are too many.
        parts: The single values of lists, and of text with | or ; in it, to the rows that hold each; None where there
            are too many.
    """

    name: str
    num_filled: int = 0
    num_numbers: int = 0
    num_lists: int = 0
    num_json: int = 0
    num_several: int = 0
    num_chars: int = 0
    values: Counter[str] | None = field(default_factory=Counter)
    parts: Counter[str] | None = field(default_factory=Counter)

    @property
    def mean_chars(self) -> float:
        """Characters of a text, on average."""
        return self.num_chars / self.num_filled if self.num_filled else 0.0

    @property
    def labels(self) -> Counter[str] | None:
        """Its values as labels, to the rows that hold each: the single ones, where values combine them."""
        is_combined = self.num_several and self.parts is not None and len(self.parts) < self.num_values
        return self.parts if self.is_lists or is_combined else self.values

    @property
    def num_values(self) -> int:
        """How many different values it has; one more than can be counted where there are more."""
        return MAX_VALUES + 1 if self.values is None else len(self.values)

    @property
    def is_numeric(self) -> bool:
        """Whether all of its values are numbers."""
        return 0 < self.num_filled == self.num_numbers

    @property
    def is_lists(self) -> bool:
        """Whether all of its values are lists."""
        return 0 < self.num_filled == self.num_lists

    def add(self, value: Any) -> None:
        """Take in a cell."""
        if is_blank(value):
            return
        self.num_filled += 1
        listed = as_list(value)
        self.num_lists += listed is not None
        self.num_json += listed is not None and isinstance(value, str)
        self.num_numbers += as_number(value) is not None
        text = as_written(value)
        self.num_chars += len(text)
        parts = listed if listed is not None else split_text(text)
        self.num_several += len(parts) > 1
        self.values = _counted(self.values, [text])
        self.parts = _counted(self.parts, {as_written(part) for part in parts})


@dataclass
class Profile:
    """What a table holds.

    Attributes:
        path: The path that was read.
        num_rows: Rows that were looked at.
        has_more: Whether there are more.
        columns: Its columns, in their order.
        notes: What the reader says of the file, such as its encoding.
        tool: The labelling tool that wrote it; None for other tables.
    """

    path: str
    num_rows: int = 0
    has_more: bool = False
    columns: dict[str, Column] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tool: str | None = None


def profile_of(source: SourceConfig, folder: str, label: str = EXPORTED_LABEL, texts: Collection[str] = ()) -> Profile:
    """Return what the columns of a file, a folder, a glob or an ``s3://`` prefix hold.

    Args:
        source: The table.
        folder: The folder that relative paths start at.
        label: The column that is asked for where a labelling tool's export has several questions.
        texts: Columns that are known to hold content.

    Raises:
        ProblemsError: Rows of it cannot be read.
        DataError: There is nothing.
    """
    problems = Problems()
    found = Profile(source.path)
    rows = table_rows(source, folder, problems, label, texts)
    for row, tool in islice(rows, MAX_ROWS):
        found.num_rows += 1
        found.tool = found.tool or tool
        for name, value in row.values.items():
            found.columns.setdefault(name, Column(name)).add(value)
    found.has_more = found.num_rows == MAX_ROWS and next(rows, None) is not None
    problems.refuse()
    found.notes = problems.notes
    return found


def table_rows(
    source: SourceConfig, folder: str, problems: Problems, label: str = EXPORTED_LABEL, texts: Collection[str] = ()
) -> Iterator[tuple[Row, str | None]]:
    """Yield rows with all their columns, and the labelling tool that exported each; None for plain ones.

    Args:
        source: The table.
        folder: The folder that relative paths start at.
        problems: Takes what cannot be read.
        label: The column that holds the labels.
        texts: Columns that are known to hold content.
    """
    asked = Asked(frozenset(texts), (label,), takes_several=True)
    for file in find_files(source, folder, problems.note):
        with file.open() as opened:
            for row in read_table(opened, file.name, problems, None, file.format, file.constants):
                export = read_export(row.values, asked)
                if export is None:
                    yield row if "." not in label else replace(row, values=with_inner(row.values, (label,))), None
                else:
                    labels = [one.label for one in export.annotations]
                    given = {EXPORTED_LABEL: labels[0]} if labels else {EXPORTED_LABEL: None}
                    yield replace(row, values={**export.values, **given}), export.tool


def is_blank(value: Any) -> bool:
    """Tell whether a cell holds nothing."""
    if isinstance(value, float | decimal.Decimal):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


def as_written(value: Any) -> str:
    """Return a cell as people write it: whole numbers without a point, lists as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    is_number = isinstance(value, float | decimal.Decimal) or (
        isinstance(value, str) and _WHOLE.fullmatch(value.strip())
    )
    if is_number and (number := whole_number(value)) is not None:
        return str(number)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value).strip()


def as_number(value: Any) -> float | None:
    """Return the number in a cell; None where there is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | decimal.Decimal):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    is_spelled = isinstance(value, str) and any(sign.isalpha() and sign not in "eE" for sign in value)
    return number if math.isfinite(number) and not is_spelled else None


def as_list(value: Any) -> list[Any] | None:
    """Return the list in a cell, as such or as JSON; None where there is none."""
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def split_text(text: str) -> list[str]:
    """Return the parts of a text with | or ; between them."""
    parts = [text]
    for sign in _SEPARATORS:
        parts = [part for one in parts for part in one.split(sign)]
    return [part.strip() for part in parts if part.strip()]


def is_date(value: str) -> bool:
    """Tell whether a text is a day or a time in ISO form."""
    try:
        datetime.datetime.fromisoformat(value)
    except ValueError:
        return False
    return not value.isdecimal()


def _counted(counts: Counter[str] | None, values: Iterable[str]) -> Counter[str] | None:
    """Return counts with more values; None once there are too many."""
    if counts is None:
        return None
    counts.update(values)
    return counts if len(counts) <= MAX_VALUES else None
