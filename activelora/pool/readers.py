"""The rows of a source, whatever it is: files on disk or in S3, a hub data set, or the built-in demo."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.config import SourceConfig
from activelora.errors import DataError
from activelora.pool.demo import demo_rows
from activelora.pool.files import SourceFile, find_files
from activelora.pool.formats import READERS, Row, Wanted
from activelora.pool.hub import read_hub
from activelora.pool.problems import Problems

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
        yield from read_hub(source.path, wanted, problems)
    elif source.path.startswith("builtin:"):
        if source.path != DEMO:
            raise DataError(f"there is no built-in source `{source.path}`", remedy=f"There is `{DEMO}`.")
        for number, values in enumerate(demo_rows(), 1):
            yield Row(dict(values), DEMO, number)
    else:
        for file in find_files(source, folder):
            yield from _rows_of_file(file, wanted, problems)


def _rows_of_file(source: SourceFile, wanted: Wanted, problems: Problems) -> Iterator[Row]:
    with source.open() as file:
        if not file.read(1):
            problems.add(DataError("the file is empty", where=source.name, remedy="Fill it or remove it."))
            return
        file.seek(0)
        yield from READERS[source.format](file, source.name, wanted, problems)
