"""Reading what people put into the inbox: any number of CSV and JSONL files, of any quality.

A file is UTF-8, with or without a byte order mark, with any line ends; CSV by comma, semicolon or tab. It needs
``item_id`` and ``label``; ``annotator`` and ``labeled_at`` (ISO 8601; without a zone it is UTC) are optional, other
columns are ignored. In JSONL, ``skipped: true`` passes an item over, whatever its labels are called. A line without a
label is one that is not answered yet. Hidden files are ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from activelora.campaign.keys import Listed, check_key
from activelora.campaign.store import Store
from activelora.errors import StoreError
from activelora.labeling.request import Rejected
from activelora.labeling.rows import MAX_CHARS, BadRow, Row, csv_rows

MAX_FILE_BYTES = 64 << 20
MAX_ANNOTATOR_CHARS = 200
ANONYMOUS = "unknown"
SKIPPED = "skip"
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
    """

    store: Store
    prefix: str = ""
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
            return one.version, list(_read(self.store, one.key))

        if "://" not in self.store.uri or len(listed) < NUM_READERS:
            return {one.key: read(one) for one in listed}
        with ThreadPoolExecutor(NUM_READERS) as threads:
            return dict(zip((one.key for one in listed), threads.map(read, listed), strict=True))


def _is_hidden(name: str) -> bool:
    """Tell what is no answer: S3 consoles make objects for folders, office programs make lock files."""
    return name.endswith("/") or name.rpartition("/")[2].startswith((".", "~$"))


def _read(store: Store, name: str) -> Iterator[Answer | Rejected]:
    """Read a file, unless its kind or name is wrong; nothing if it was taken away meanwhile."""
    content = b""
    if _unfit(name) is None:
        try:
            with store.open(name) as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except KeyError:
            return
    yield from parse_file(name, content)


def parse_file(name: str, content: bytes) -> Iterator[Answer | Rejected]:
    """Yield the answers of one file, and what cannot be used.

    Args:
        name: Its name in the inbox.
        content: Its bytes.
    """
    reason = _unfit(name)
    text = Rejected(name, None, "", reason) if reason else _text(name, content)
    if isinstance(text, Rejected):
        yield text
        return
    for row in _FORMATS[_kind(name)](text):
        found = _answer(name, row) if isinstance(row, Row) else Rejected(name, row.line, "", row.reason)
        if found is not None:
            yield found


def _kind(name: str) -> str:
    return name.casefold().rpartition(".")[2]


def _unfit(name: str) -> str | None:
    """Return why a file of this name cannot be read, or None if it can."""
    if _kind(name) not in _FORMATS:
        return "is neither .csv nor .jsonl: save it as one of these"
    try:
        check_key(name)
    except StoreError:
        return "has a name that not every store can hold: use letters, digits, - and _"
    return None


def _text(name: str, content: bytes) -> str | Rejected:
    """Return the file's text, or why it is rejected."""
    if len(content) > MAX_FILE_BYTES:
        return Rejected(name, None, "", f"is larger than {MAX_FILE_BYTES >> 20} MiB: split it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Rejected(name, None, "", f"is not UTF-8 text (byte {error.start}, line {line}): save it as UTF-8")
    if not text.strip():
        return Rejected(name, None, "", "is empty")
    return text


def _jsonl_rows(text: str) -> Iterator[Row | BadRow]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            found = _object(line)
            yield BadRow(number, found) if isinstance(found, str) else Row(number, found)


def _object(line: str) -> Mapping[str, Any] | str:
    """Return the line's object, or why it cannot be read."""
    if len(line) > MAX_CHARS:
        return f"is longer than {MAX_CHARS} characters"
    if "\x00" in line:
        return "holds NUL bytes"
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {error}" if isinstance(error, json.JSONDecodeError) else "is not JSON that can be read"
    if not isinstance(value, dict):
        return "is not a JSON object"
    missing = [name for name in ("item_id", "label") if name not in value]
    return f"has no `{missing[0]}`" if missing else value


_FORMATS: dict[str, Callable[[str], Iterator[Row | BadRow]]] = {"csv": csv_rows, "jsonl": _jsonl_rows}


def _answer(name: str, row: Row) -> Answer | Rejected | None:
    """Return what a row says, why it cannot be used, or None where it has no label yet."""
    cells = row.cells
    item_id = cells["item_id"]
    if not isinstance(item_id, str) or not item_id.strip():
        return None if _is_empty(cells["label"]) else Rejected(name, row.line, "", "has a label and no item_id")
    item_id = item_id.strip()

    def reject(reason: str) -> Rejected:
        return Rejected(name, row.line, item_id[:100], reason)

    label = cells["label"]
    skipped = cells.get("skipped") is True
    if skipped:
        label = SKIPPED
    if _is_empty(label):
        return None
    if isinstance(label, float) and label.is_integer():
        label = int(label)  # tables with a gap in an integer column come back as floats
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
    return Answer(name, row.line, item_id, label, annotator, labeled_at, skipped)


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
    time = datetime.fromisoformat(value.strip() if isinstance(value, str) else value)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
