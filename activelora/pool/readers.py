"""The rows of a source, whatever it is: files on disk or in S3, a hub data set, or the built-in demo."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.config import SourceConfig
from activelora.errors import DataError
from activelora.formats.problems import Problems
from activelora.formats.reader import read_table
from activelora.formats.row import Row, Wanted, with_inner
from activelora.pool.demo import demo_rows
from activelora.pool.files import SourceFile, find_files
from activelora.pool.hub import read_hub

DEMO = "builtin:aws-requests"


def read_rows(source: SourceConfig, folder: str, wanted: Wanted, problems: Problems) -> Iterator[Row]:
    """Yield the rows of a source in a fixed order: files by name, rows as they stand.

    Args:
        source: What the campaign file says.
        folder: The folder that relative paths start at; may be an ``s3://`` prefix.
        wanted: The columns to read.
        problems: Collector of rows that cannot be read.

    Raises:
        DataError: The source is not there, or holds no row.
    """
    is_empty = True
    for row in _rows(source, folder, wanted, problems):
        is_empty = False
        yield row
    if is_empty and not problems:
        raise DataError("holds no rows", where=source.path, remedy="At least one item is needed.")


def _rows(source: SourceConfig, folder: str, wanted: Wanted, problems: Problems) -> Iterator[Row]:
    if source.path.startswith("hf://"):
        for row in read_hub(source.path, wanted, problems):
            yield Row(with_inner(row.values, wanted.names), row.file, row.line)
    elif source.path.startswith("builtin:"):
        if source.path != DEMO:
            raise DataError(f"there is no built-in source `{source.path}`", remedy=f"There is `{DEMO}`.")
        for number, values in enumerate(demo_rows(), 1):
            yield Row(dict(values), DEMO, number)
    else:
        for file in find_files(source, folder, problems.note):
            yield from rows_of_file(file, wanted, problems)


def rows_of_file(source: SourceFile, wanted: Wanted, problems: Problems) -> Iterator[Row]:
    """Yield the rows of one file.

    Args:
        source: The file.
        wanted: The columns to read.
        problems: Collector of rows that cannot be read.
    """
    with source.open() as file:
        yield from read_table(file, source.name, problems, wanted, source.format, source.constants)
