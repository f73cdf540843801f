"""Reading what people put into the inbox: any number of files, of any format that pools have, and of any quality.

A worksheet needs ``item_id`` and ``label``; ``annotator`` and ``labeled_at`` (ISO 8601; without a zone it is UTC) are
optional, other columns are ignored. ``skipped: true`` in JSON passes an item over, whatever its labels are called. A
line without a label is one that is not answered yet. Exports of labelling tools are read as they come out
(:mod:`activelora.labeling.worked`). Hidden files are ignored.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from activelora.campaign.keys import Listed, check_key
from activelora.campaign.store import Store
from activelora.errors import DataError, StoreError
from activelora.formats.exports.export import EMPTY, Export, passed_in_words
from activelora.formats.exports.tools import is_marked, read_export
from activelora.formats.problems import RowError
from activelora.formats.reader import FORMATS, format_of_name, read_table
from activelora.formats.row import Row, Wanted
from activelora.formats.text import BOM
from activelora.labeling.request import Rejected, Remark
from activelora.labeling.worked import Known

MAX_FILE_BYTES = 64 << 20
MAX_ANNOTATOR_CHARS = 200
ANONYMOUS = "unknown"
SKIPPED = "skip"
_ITEM_ID = re.compile("i[0-9a-f]{20}", re.IGNORECASE)
_HALVES = re.compile("[\ud800-\udfff]")
NUM_READERS = 8
"""Number of objects of a remote inbox that are read at a time."""


@dataclass(frozen=True)
class Answer:
    """One line that carries a label, as written.

    Attributes:
        file: The file's name in the inbox; of other sources, the place that a message can name.
        line: Its line, from 1; of other sources, the number of the answer there.
        item_id: The item it speaks of, which need not exist.
        label: The label as written: text, or from JSONL a number, a truth value or a list of texts.
        annotator: Who says so; ``unknown`` where the file does not tell.
        labeled_at: When, if the file tells.
        skipped: Whether the annotator passes the item over, whatever the label says.
        source: The label source to record, where it is not the one that collects.
    """

    file: str
    line: int
    item_id: str
    label: str | int | float | bool | list[str]
    annotator: str
    labeled_at: datetime | None
    skipped: bool = False
    source: str | None = None


@dataclass
class Inbox:
    """A folder of answers that is looked at again and again: what has not changed is not read twice.

    Attributes:
        store: The store that the files are in.
        prefix: Prefix of their keys.
        known: What is known of the campaign.
    """

    store: Store
    prefix: str = ""
    known: Known = field(default_factory=Known)
    _seen: dict[str, tuple[str, list[Answer | Rejected]]] = field(default_factory=dict, init=False, repr=False)

    def read(self) -> tuple[list[Answer], list[Rejected]]:
        """Return every answer in the inbox, by file and line, and what could not be read.

        The listing comes first: a file that changes after it is read with its new content, has another version at
        the next look, and is read again then.

        Raises:
            StoreError: The inbox itself cannot be read.
        """
        listed = [one for one in self.store.list_versions(self.prefix) if not _is_hidden(one.key)]
        known = {one.key for one in listed if one.is_settled and self._seen.get(one.key, ("",))[0] == one.version}
        fresh = self._read_all([one for one in listed if one.key not in known])
        self._seen = {one.key: fresh[one.key] if one.key in fresh else self._seen[one.key] for one in listed}
        answers: list[Answer] = []
        rejected: list[Rejected] = []
        for _, rows in self._seen.values():
            for found in rows:
                if isinstance(found, Answer):
                    answers.append(found)
                else:
                    rejected.append(found)
        return answers, rejected

    def _read_all(self, listed: list[Listed]) -> dict[str, tuple[str, list[Answer | Rejected]]]:
        def read(one: Listed) -> tuple[str, list[Answer | Rejected]]:
            return one.version, list(_read(self.store, one.key, self.known))

        if "://" not in self.store.uri or len(listed) < NUM_READERS:
            return {one.key: read(one) for one in listed}
        with ThreadPoolExecutor(NUM_READERS) as threads:
            return dict(zip((one.key for one in listed), threads.map(read, listed), strict=True))


def _is_hidden(name: str) -> bool:
    """Tell what is no answer: S3 consoles make objects for folders, office programs make lock files."""
    return name.endswith("/") or name.rpartition("/")[2].startswith((".", "~$"))


def _read(store: Store, name: str, known: Known) -> Iterator[Answer | Rejected]:
    """Read a file, unless its kind or name is wrong; nothing if it was taken away meanwhile."""
    content = b""
    if _unfit(name) is None:
        try:
            with store.open(name) as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except KeyError:
            return
    yield from parse_file(name, content, known)


def parse_file(name: str, content: bytes, known: Known | None = None) -> Iterator[Answer | Rejected]:
    """Yield the answers of one file, and what cannot be used.

    Args:
        name: Its name in the inbox.
        content: Its bytes.
        known: What is known of the campaign, to read exports of labelling tools by.
    """
    if reason := _unfit(name):
        yield Rejected(name, None, "", reason)
    elif len(content) > MAX_FILE_BYTES:
        yield Rejected(name, None, "", f"is larger than {MAX_FILE_BYTES >> 20} MiB: split it")
    elif not content.strip().removeprefix(BOM).strip():
        yield Rejected(name, None, "", "is empty")
    else:
        yield from _Sheet(name, known or Known()).read(content)


def _unfit(name: str) -> str | None:
    """Return why a file of this name cannot be read, or None if it can."""
    if format_of_name(name) is None:
        return f"is none of {', '.join(FORMATS)}, alone or packed: save it as one of these"
    try:
        check_key(name)
    except StoreError:
        return "has a name that not every store can hold: use letters, digits, - and _"
    return None


class _Sheet:
    """One file while it is read: takes what the reader of tables says of it."""

    def __init__(self, name: str, known: Known) -> None:
        self._name = name
        self._known = known
        self._found: list[Rejected] = []
        self._passed: Counter[tuple[str, str]] = Counter()
        self._notes: dict[str, None] = {}
        self._num_rows = 0
        self._has_header = False
        self._misses = ""

    def add(self, error: DataError) -> None:
        """Take something that was not read."""
        line = error.line if isinstance(error, RowError) else None
        self._found.append(Rejected(self._name, line, "", error.problem))

    def note(self, text: str) -> None:
        """Take what was read in a way that somebody should know of."""
        self._notes[text.removeprefix(f"{self._name}: ")] = None

    def read(self, content: bytes) -> Iterator[Answer | Rejected]:
        """Yield what the file holds, and at its end what is to be said of it."""
        try:
            for row in read_table(io.BytesIO(content), self._name, self, Wanted(("item_id",), is_export=self._fits)):
                self._num_rows += 1
                export = self._export(row)
                if self._misses and export is None:
                    break
                self._misses = ""
                yield from self._said()
                yield from self._answers(row, export)
        except DataError as error:
            self.add(error)
        if self._misses:
            yield Rejected(self._name, None, "", self._misses)
            return
        if not (self._num_rows or self._found or self._has_header):
            yield Rejected(self._name, None, "", "holds no rows")
        yield from self._said()
        for text in (*passed_in_words(self._passed), *self._notes):
            yield Remark(self._name, None, "", text)

    def _said(self) -> list[Rejected]:
        found, self._found = self._found, []
        return found

    def _fits(self, columns: Collection[str]) -> bool:
        """Tell whether a header has what answers need, or is that of an export; else note why not."""
        names = [str(name).strip().casefold() for name in columns]
        self._has_header, self._misses = True, ""
        if twice := next((name for name in _COLUMNS if names.count(name) > 1), None):
            self._misses = f"has two columns `{twice}`"
        elif not is_marked(columns, self._known.asked):
            missing = next((name for name in ("item_id", "label") if name not in names), None)
            self._misses = f"has no column `{missing}`; it has: {', '.join(names)[:200]}" if missing else ""
        return not self._misses

    def _export(self, row: Row) -> Export | None:
        try:
            return read_export(row.values, self._known.asked)
        except DataError as error:
            self.add(RowError(error.problem, self._name, row.line))
            return Export("", {})

    def _answers(self, row: Row, export: Export | None) -> Iterator[Answer | Rejected]:
        cells = {str(name).strip().casefold(): value for name, value in row.values.items()}
        if export is None:
            missing = next((name for name in ("item_id", "label") if name not in cells), None)
            if missing:
                yield Rejected(self._name, row.line, "", NO_ITEM_ID if missing == "item_id" else f"has no `{missing}`")
            elif (found := _answer(self._name, row.line, cells)) is not None:
                yield found
            return
        self._notes |= dict.fromkeys(export.remarks)
        if export.tool:
            self._passed.update((export.tool, reason) for reason in export.passed)
        elif export.passed and export.passed != [EMPTY]:
            yield Rejected(self._name, row.line, str(cells.get("item_id", ""))[:100], f"has {export.passed[0]}")
        item_id = self._known.item_id(export.values) if export.annotations else None
        for one in export.annotations:
            said = {"annotator": one.annotator, "labeled_at": one.labeled_at}
            own = {} if export.tool else {name: cells.get(name) for name in said}
            if (
                found := _answer(self._name, row.line, {"item_id": item_id, "label": one.label, **said, **own})
            ) is not None:
                yield found


NO_ITEM_ID = "has no `item_id`"
"""Why a row of JSON names no item as worksheets do."""
_COLUMNS = ("item_id", "label", "annotator", "labeled_at")


def _answer(name: str, line: int, cells: Mapping[str, Any]) -> Answer | Rejected | None:
    """Return what a row says, why it cannot be used, or None where it has no label yet."""
    item_id = cells["item_id"]
    if not isinstance(item_id, str) or not item_id.strip():
        return None if _is_empty(cells["label"]) else Rejected(name, line, "", "has a label and no item_id")
    item_id = item_id.strip()
    if _ITEM_ID.fullmatch(item_id):
        item_id = item_id.lower()

    def reject(reason: str) -> Rejected:
        return Rejected(name, line, item_id[:100], reason)

    label = cells["label"]
    skipped = cells.get("skipped") is True
    if skipped:
        label = SKIPPED
    if _is_empty(label):
        return None
    if isinstance(label, float) and label.is_integer():
        label = int(label)  # tables with a gap in an integer column come back as floats
    if isinstance(label, date | time):
        label = str(label)  # as the pool reads them
    if not _is_label(label):
        return reject(f"its label is no text, number or list of texts but {type(label).__name__}")
    annotator = ANONYMOUS if _is_empty(cells.get("annotator")) else str(cells["annotator"]).strip()
    if len(annotator) > MAX_ANNOTATOR_CHARS:
        return reject(f"its annotator's name is longer than {MAX_ANNOTATOR_CHARS} characters")
    if any("\x00" in part for part in (item_id, str(label), annotator)):
        return reject("holds NUL bytes")
    if any(map(_HALVES.search, (item_id, str(label), annotator))):
        return reject("holds halves of characters, which no table can hold: save it as UTF-8")
    try:
        labeled_at = _time(cells.get("labeled_at"))
    except (TypeError, ValueError, OverflowError):
        return reject(f"its labeled_at {str(cells['labeled_at'])[:40]!r} is not a time such as 2026-01-31T09:30:00Z")
    return Answer(name, line, item_id, label, annotator, labeled_at, skipped)


def _is_label(value: object) -> bool:
    """Tell whether a task may understand it; which one does, the task says."""
    if isinstance(value, list):
        return all(isinstance(part, str) for part in value)
    return isinstance(value, str | int | float)


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value != value


def _time(value: Any) -> datetime | None:
    if _is_empty(value):
        return None
    if isinstance(value, date | time):
        value = value.isoformat()
    moment = datetime.fromisoformat(value.strip() if isinstance(value, str) else value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
