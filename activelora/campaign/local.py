"""A campaign store in a folder."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from activelora.campaign.store import check_key
from activelora.errors import StoreError

_PARTIAL = ".partial-"


class LocalStore:
    """Objects are files. Writes go to a temporary file beside the target, are synced, and then renamed or linked.

    Args:
        folder: The store's folder. Made on the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()

    @property
    def uri(self) -> str:
        """The folder."""
        return str(self.folder)

    def read(self, key: str) -> bytes:
        """Return the file's content."""
        with self.open(key) as file:
            return file.read()

    def open(self, key: str) -> BinaryIO:
        """Open the file."""
        try:
            return self._path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise KeyError(key) from None
        except OSError as error:
            raise self._explain(error, key) from error

    def write(self, key: str, content: bytes) -> None:
        """Write to a temporary file, then rename it over the target."""
        with self._partial(key, lambda file: file.write(content)) as (partial, target):
            partial.replace(target)

    def create(self, key: str, content: bytes) -> bool:
        """Write to a temporary file, then link it to the target: linking fails where the target exists."""
        if self.exists(key):
            return False
        with self._partial(key, lambda file: file.write(content)) as (partial, target):
            try:
                os.link(partial, target)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise
                return _create_without_links(partial, target)
            return True

    def upload(self, key: str, path: Path) -> None:
        """Copy the file to a temporary one, then rename it."""

        def copy(file: BinaryIO) -> None:
            with path.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)

        with self._partial(key, copy) as (partial, target):
            partial.replace(target)

    def exists(self, key: str) -> bool:
        """Tell whether the file is there."""
        return self._path(key).is_file()

    def list(self, prefix: str) -> Iterator[str]:
        """Walk the folder that the prefix names."""
        start = self.folder / prefix.rsplit("/", 1)[0] if "/" in prefix else self.folder
        found = []
        for root, _, names in os.walk(start):
            for name in names:
                if not name.startswith(_PARTIAL):
                    found.append((Path(root) / name).relative_to(self.folder).as_posix())
        return iter(sorted(key for key in found if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        """Remove the file."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / check_key(key)

    @contextmanager
    def _partial(self, key: str, fill: Callable[[BinaryIO], object]) -> Iterator[tuple[Path, Path]]:
        target = self._path(key)
        partial = target.parent / f"{_PARTIAL}{uuid.uuid4().hex}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("xb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            yield partial, target
        except OSError as error:
            raise self._explain(error, key) from error
        finally:
            partial.unlink(missing_ok=True)

    def _explain(self, error: OSError, key: str) -> StoreError:
        where = str(self.folder / key)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StoreError(
                "the disk is full",
                where=where,
                remedy="Free some space and run again: finished steps are kept.",
            )
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return StoreError(
                "is not writable or readable for this user", where=where, remedy="Mend its permissions."
            )
        return StoreError(f"cannot be accessed: {error.strerror or error}", where=where)


def _create_without_links(partial: Path, target: Path) -> bool:
    """Create exclusively where the file system has no hard links: an exclusive marker decides who renames."""
    marker = target.with_name(f"{_PARTIAL}{target.name}.owner")
    try:
        marker.open("xb").close()
    except FileExistsError:
        return False
    partial.replace(target)
    return True
