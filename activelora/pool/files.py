"""Which files a path of the campaign file means: one file, a glob or a folder, on disk or in S3."""

from __future__ import annotations

import glob
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Literal

from activelora.campaign.store import open_store
from activelora.config import SourceConfig
from activelora.config.outside_names import crooked, straightened
from activelora.errors import DataError

Format = Literal["jsonl", "csv", "parquet"]
_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_KNOWN = ".jsonl, .csv or .parquet"


@dataclass(frozen=True)
class SourceFile:
    """A data file.

    Attributes:
        name: Its path or URI, for messages.
        format: What it holds.
        open: Opens it as a seekable file.
    """

    name: str
    format: Format
    open: Callable[[], BinaryIO]


def locate(path: str, folder: str) -> str:
    """Return a path of the campaign file as an absolute path or an ``s3://`` URI.

    Raises:
        DataError: Its scheme is not supported, or it has parts such as ``..`` that mean nothing in S3.
    """
    path = path.removeprefix("file://")
    location = path if "://" in path or Path(path).expanduser().is_absolute() else f"{folder}/{path}"
    location = location.removeprefix("file://")
    if location.startswith("s3://"):
        if (problem := crooked(location)) is not None:
            raise DataError(problem, where=location, remedy=f"Write {straightened(location)}.")
        return location.removesuffix("/")
    if "://" in location:
        raise DataError(
            f"`{location.split('://', 1)[0]}://` is not supported",
            where=location,
            remedy="Use a local path, s3://bucket/prefix, hf://owner/name or builtin:aws-requests.",
        )
    return str(Path(location).expanduser().absolute())


def find_files(source: SourceConfig, folder: str) -> list[SourceFile]:
    """Return the files of a source, in the order of their names.

    Raises:
        DataError: There are none, or the format of one is not known.
        StoreError: S3 cannot be reached.
    """
    location = locate(source.path, folder)
    find = _find_in_s3 if location.startswith("s3://") else _find_on_disk
    found, is_folder = find(location)
    files = []
    for name, open_file in found:
        format_ = _ENDINGS.get(Path(name).suffix.lower())
        if is_folder and (format_ is None or source.format not in ("auto", format_)):
            continue
        if source.format != "auto":
            format_ = source.format
        if format_ is None:
            raise DataError(
                f"the format cannot be told from the file's ending; expected {_KNOWN}",
                where=name,
                remedy="Rename it, or set `format` beside its `path`. JSON needs one object a line.",
            )
        files.append(SourceFile(name, format_, open_file))
    if not files:
        raise _nothing(location, source, bool(found))
    return files


def _nothing(location: str, source: SourceConfig, other_files: bool) -> DataError:
    remedy = "Paths start at `data.folder`, which is relative to the campaign file; `--data` replaces it."
    if other_files:
        wanted = _KNOWN if source.format == "auto" else source.format
        return DataError(f"the folder holds no {wanted} file", where=location)
    if glob.has_magic(location):
        return DataError(f"no file matches `{source.path}`", where=location, remedy=remedy)
    return DataError("there is no such file or folder", where=location, remedy=remedy)


Found = tuple[list[tuple[str, Callable[[], BinaryIO]]], bool]
"""Names with openers, and whether they are the content of a folder (where other files may lie about)."""


def _find_on_disk(location: str) -> Found:
    path = Path(location)
    if path.is_dir():
        paths = sorted(inner for inner in path.rglob("*") if inner.is_file() and not _hidden(inner, path))
        return [_on_disk(inner) for inner in paths], True
    if path.exists():
        return [_on_disk(path)], False
    matches = sorted(glob.glob(location, recursive=True))  # noqa: PTH207 - the pattern is absolute
    return [_on_disk(Path(match)) for match in matches if Path(match).is_file()], False


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


def _on_disk(path: Path) -> tuple[str, Callable[[], BinaryIO]]:
    def open_file() -> BinaryIO:
        try:
            return path.open("rb")
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from error

    return str(path), open_file


def _find_in_s3(location: str) -> Found:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    store = open_store(f"s3://{bucket}")

    def in_s3(key: str) -> tuple[str, Callable[[], BinaryIO]]:
        return f"s3://{bucket}/{key}", lambda: store.open(key)

    if glob.has_magic(key):
        fixed = key[: min(key.find(sign) for sign in "*?[" if sign in key)]
        keys = [found for found in store.list(fixed) if _matches(found.split("/"), key.split("/"))]
        return [in_s3(found) for found in keys], False
    if key and store.exists(key):
        return [in_s3(key)], False
    prefix = f"{key}/" if key else ""
    keys = [found for found in store.list(prefix) if not _hidden(Path(found), Path(prefix))]
    return [in_s3(found) for found in keys if not found.endswith("/")], True


def _matches(parts: list[str], patterns: list[str]) -> bool:
    """Match a key as a shell does: ``*`` stays within a folder, ``**`` spans any number of them."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_matches(parts[skip:], patterns[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _matches(parts[1:], patterns[1:])
