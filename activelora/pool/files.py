"""Which files a path of the campaign file means: one file, a glob or a folder, on disk or in S3."""

from __future__ import annotations

import glob
import hashlib
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from activelora.campaign.store import open_store
from activelora.config import SourceConfig
from activelora.config.outside_names import crooked, straightened
from activelora.errors import DataError
from activelora.formats.reader import KNOWN, Format, format_of_name

_SIDECARS = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
"""What ``datasets`` writes beside the data."""
_DATA_LIKE = (
    *(".txt", ".text", ".dat", ".data", ".xml", ".html", ".yaml", ".yml", ".pdf", ".docx"),
    *(".xls", ".xlsb", ".ods", ".numbers", ".orc", ".avro", ".pkl", ".pickle", ".npy", ".npz", ".h5", ".hdf5"),
    *(".db", ".sqlite", ".sqlite3", ".duckdb", ".dta", ".sav", ".rds"),
    *(".zip", ".tar", ".tgz", ".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz", ".7z", ".rar", ".lz4", ".br"),
)
"""Endings of files that may hold data, which are named where a folder is read without them."""
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_MAX_NAMED = 5
_BLOCK_BYTES = 1 << 20
_LOCK = "~$"


@dataclass(frozen=True)
class SourceFile:
    """A data file.

    Attributes:
        name: Its path or URI, for messages.
        format: What somebody says that it holds, or its name; its content may tell more. None: nobody does.
        open: Opens it as a seekable file.
        constants: Columns that its folders name: `lang=en` is a column `lang`.
    """

    name: str
    format: Format | None
    open: Callable[[], BinaryIO]
    constants: Mapping[str, str | None] = field(default_factory=dict)

    def digest(self) -> tuple[str, int]:
        """Return the sha256 of its bytes, and how many there are. It is read whole, a block at a time.

        Raises:
            DataError: It cannot be read.
        """
        digest, num_bytes = hashlib.sha256(), 0
        with self.open() as opened:
            while block := opened.read(_BLOCK_BYTES):
                digest.update(block)
                num_bytes += len(block)
        return digest.hexdigest(), num_bytes


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


def find_files(source: SourceConfig, folder: str, note: Callable[[str], None] = lambda text: None) -> list[SourceFile]:
    """Return the files of a source, in the order of their names.

    Args:
        source: What the campaign file says.
        folder: The folder that relative paths start at.
        note: Takes a sentence on files of a folder that may hold data and are not read.

    Raises:
        DataError: There are none, or the format of one is not known.
        StoreError: S3 cannot be reached.
    """
    location = locate(source.path, folder)
    find = _find_in_s3 if location.startswith("s3://") else _find_on_disk
    found, is_folder = find(location)
    files, unread = [], []
    for name, open_file in found:
        format_ = format_of_name(name)
        if is_folder and (format_ is None or _is_beside_data(name)):
            unread += [name] * name.lower().endswith(_DATA_LIKE)
            continue
        if is_folder and source.format not in ("auto", format_):
            continue
        if source.format != "auto":
            format_ = source.format
        files.append(SourceFile(name, format_, open_file, _constants(location, name)))
    if is_folder:
        _refuse_several_splits(location, [name for name, _ in found])
    if not files:
        raise _nothing(location, source, [name for name, _ in found], is_folder)
    if unread and source.format == "auto":
        note(f"{location}: {_listed(unread)} not read")
    return files


def _listed(names: list[str]) -> str:
    shown = ", ".join(posixpath.basename(name) for name in names[:_MAX_NAMED])
    more = f" and {len(names) - _MAX_NAMED} more files" if len(names) > _MAX_NAMED else ""
    return f"{shown}{more} {'was' if len(names) == 1 else 'were'}"


def _is_beside_data(name: str) -> bool:
    """Tell whether a file is what ``datasets`` keeps beside the data of a folder."""
    base = posixpath.basename(name)
    return base in _SIDECARS or (base.startswith("cache-") and base.endswith(".arrow"))


def _refuse_several_splits(location: str, names: list[str]) -> None:
    """Refuse a folder of several splits as ``datasets`` saves them: the pool would hold what measures it."""
    if not any(name == f"{location}/dataset_dict.json" for name in names):
        return
    splits = sorted(posixpath.basename(posixpath.dirname(name)) for name in names if name.endswith("/state.json"))
    if len(splits) > 1:
        remedy = f"Name one of them: `{location}/{splits[0]}`."
        raise DataError(f"the folder holds several splits: {', '.join(splits)}", where=location, remedy=remedy)


def fixed_part(location: str) -> str:
    """Return what of a path comes before the first sign of a pattern."""
    return location[: min((location.find(sign) for sign in "*?[" if sign in location), default=len(location))]


def _constants(location: str, name: str) -> dict[str, str | None]:
    """Return the columns that the folders of a file name, below the location that was asked for."""
    pairs = [
        part.partition("=") for part in name[len(fixed_part(location)) :].split("/")[:-1] if "=" in part.strip("=")
    ]
    return {unquote(key): None if value == _NO_VALUE else unquote(value) for key, _, value in pairs}


def _nothing(location: str, source: SourceConfig, others: list[str], is_folder: bool) -> DataError:
    remedy = "Paths start at `data.folder`, which is relative to the campaign file; `--data` replaces it."
    if others:
        wanted = KNOWN if source.format == "auto" else source.format
        there = ", ".join(posixpath.basename(name) for name in others[:_MAX_NAMED])
        return DataError(f"the folder holds no {wanted} file; there is {there}", where=location)
    if is_folder:
        return DataError(
            "the folder is empty", where=location, remedy="Put files of data into it, or correct the path."
        )
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
    files = [Path(match) for match in matches if not _is_lock(match) and Path(match).is_file()]
    return [_on_disk(file) for file in files], False


def _is_lock(name: str) -> bool:
    """Tell whether an office program made a file beside one that is open in it."""
    return posixpath.basename(name).startswith(_LOCK)


def _hidden(path: Path, folder: Path) -> bool:
    """Tell what is no data: hidden and private files, and lock files."""
    return any(part.startswith((".", "_", _LOCK)) for part in path.relative_to(folder).parts)


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
        keys = [
            found for found in store.list(fixed) if not _is_lock(found) and _matches(found.split("/"), key.split("/"))
        ]
        return [in_s3(found) for found in keys], False
    if key and store.exists(key):
        return [in_s3(key)], False
    prefix = f"{key}/" if key else ""
    keys = [found for found in store.list(prefix) if not _hidden(Path(found), Path(prefix))]
    return [in_s3(found) for found in keys if not found.endswith("/")], bool(keys)


def _matches(parts: list[str], patterns: list[str]) -> bool:
    """Match a key as a shell does: ``*`` stays within a folder, ``**`` spans any number of them."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_matches(parts[skip:], patterns[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _matches(parts[1:], patterns[1:])
