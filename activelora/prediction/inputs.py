"""The table that is to be answered: files of any kind, or what comes through a pipe."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from activelora.config.campaign import SourceConfig
from activelora.errors import ActiveLoRAError, DataError, ProblemsError
from activelora.formats.problems import MAX_SAME
from activelora.formats.reader import Format, read_table
from activelora.formats.row import Row, Wanted
from activelora.formats.unpack import head_of, unpacked
from activelora.pool.files import SourceFile, find_files

PIPE = "-"
"""Stands for standard input, or standard output."""
CHUNK_ROWS = 4096
"""Rows that are answered in one go: sorted by length, and with one merging of each sample's weights."""
CHUNK_CHARS = 16_000_000


@dataclass(frozen=True)
class WholeRows(Wanted):
    """Columns that must be there, of rows that are read with all their columns."""

    def found(self, present: Iterable[str]) -> list[str]:
        """Return all of a file's columns."""
        return list(dict.fromkeys(present))


@dataclass
class LostRows:
    """Takes what readers say: rows that could not be read, and remarks.

    Attributes:
        first: The first few problems.
        count: How many there are.
        notes: What was read in a way that somebody should know of.
    """

    first: list[ActiveLoRAError] = field(default_factory=list)
    count: int = 0
    notes: dict[str, None] = field(default_factory=dict)

    def add(self, error: DataError) -> None:
        """Take a problem."""
        self.count += 1
        if len(self.first) < MAX_SAME:
            self.first.append(error)

    def note(self, text: str) -> None:
        """Take a remark, once."""
        self.notes[text] = None

    def refuse(self) -> None:
        """Do nothing if all could be read.

        Raises:
            ProblemsError: The first problems.
        """
        if self.first:
            raise ProblemsError(list(self.first))


class TableSource:
    """Rows in their order, however often they are asked for; of a pipe, once.

    Args:
        path: A file, a folder, a glob, an ``s3://`` URI, or ``-`` for standard input.

    Raises:
        DataError: There is no such file.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == PIPE else path
        self.is_pipe = path == PIPE
        self.files: list[SourceFile] = [] if self.is_pipe else find_files(SourceConfig(path=path), ".")
        self._opened: tuple[int, BinaryIO] | None = None
        self._sizes: list[int] = []

    def rows(self, wanted: Wanted, problems: LostRows) -> Iterator[Row]:
        """Yield the rows with all their columns.

        Args:
            wanted: The columns that must be there.
            problems: Takes what could not be read.
        """
        whole = WholeRows(wanted.required, wanted.optional, wanted.is_export)
        if self.is_pipe:
            stdin = unpacked(sys.stdin.buffer, self.name)
            yield from read_table(stdin, self.name, problems, whole, _sniffed(stdin))
            return
        for index, file in enumerate(self.files):
            with file.open() as opened:
                self._opened = index, opened
                yield from read_table(opened, file.name, problems, whole, file.format, file.constants)
        self._opened = None

    def digest(self) -> str:
        """Return the digest of all bytes, file by file."""
        whole = hashlib.sha256()
        for file in self.files:
            sha256, _ = file.digest()
            whole.update(bytes.fromhex(sha256))
        return whole.hexdigest()

    def share_read(self) -> float | None:
        """Return about which share was read so far; None where nobody can tell."""
        if self.is_pipe or self._opened is None:
            return None
        if not self._sizes:
            self._sizes = [_size(file) for file in self.files]
        index, opened = self._opened
        try:
            done = sum(self._sizes[:index]) + opened.tell()
        except (OSError, ValueError):
            return None
        return min(done / max(sum(self._sizes), 1), 1.0)


def chunks_of(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows in chunks, which depend on the rows alone; a chunk of long texts has fewer."""
    chunk: list[Row] = []
    num_chars = 0
    for row in rows:
        chunk.append(row)
        num_chars += sum(len(value) for value in row.values.values() if isinstance(value, str))
        if len(chunk) >= CHUNK_ROWS or num_chars >= CHUNK_CHARS:
            yield chunk
            chunk, num_chars = [], 0
    if chunk:
        yield chunk


def _sniffed(file: BinaryIO) -> Format:
    """Return what the text of a pipe seems to be."""
    return "jsonl" if head_of(file).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") else "csv"


def _size(file: SourceFile) -> int:
    with file.open() as opened:
        return opened.seek(0, 2)
