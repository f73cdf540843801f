"""A campaign store in a folder."""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from activelora.campaign.keys import PARTIAL, Listed, check_key, check_prefix
from activelora.errors import StoreError

SETTLE_SECONDS = 2.5
"""A file that changed within this time may change again without a new time stamp: FAT has steps of two seconds."""
_MISSING = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class LocalStore:
    """Objects are files. Writes go to a temporary file beside the target, are synced, then renamed or linked.

    A killed writer leaves at most its temporary file, which nothing reads.

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
        with self.open(key) as file, self._explained(key):
            return file.read()

    def open(self, key: str) -> BinaryIO:
        """Open the file."""
        with self._explained(key):
            try:
                return self._path(key).open("rb")
            except _MISSING:
                raise KeyError(key) from None

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
                # NFS repeats a request whose answer was lost: the name that "exists" may be this link.
                return partial.stat().st_nlink > 1
            except OSError as error:
                if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise self._no_links() from error
                raise
            return True

    def upload(self, key: str, path: Path) -> None:
        """Copy the file to a temporary one, then rename it."""
        try:
            source = path.open("rb")
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror}", where=str(path)) from error
        with (
            source,
            self._partial(key, lambda file: shutil.copyfileobj(source, file, 1 << 20)) as (partial, target),
        ):
            partial.replace(target)

    def exists(self, key: str) -> bool:
        """Tell whether the file is there."""
        with self._explained(key):
            return self._path(key).is_file()

    def list(self, prefix: str) -> Iterator[str]:
        """Walk the folder that the prefix names."""

        def fail(error: OSError) -> None:
            if not isinstance(error, _MISSING):
                raise error

        found = []
        with self._explained(check_prefix(prefix)):
            for root, _, names in os.walk(self.folder / prefix.rpartition("/")[0], onerror=fail):
                folder = Path(root).relative_to(self.folder)
                found += [(folder / name).as_posix() for name in names if not name.startswith(PARTIAL)]
        return iter(sorted(key for key in found if key.startswith(prefix)))

    def list_versions(self, prefix: str) -> Iterator[Listed]:
        """Look at each file's size, number and times. Nobody can set the time of the last change (ctime)."""
        for key in self.list(prefix):
            with self._explained(key):
                try:
                    found = (self.folder / key).stat()
                except _MISSING:
                    continue  # it was taken away meanwhile
            version = f"{found.st_size}-{found.st_ino}-{found.st_mtime_ns}-{found.st_ctime_ns}"
            yield Listed(key, version, abs(time.time() - found.st_ctime) > SETTLE_SECONDS)

    def delete(self, key: str) -> None:
        """Remove the file."""
        with self._explained(key):
            try:
                self._path(key).unlink()
            except _MISSING:
                return

    def _path(self, key: str) -> Path:
        return self.folder / check_key(key)

    @contextmanager
    def _partial(self, key: str, fill: Callable[[BinaryIO], object]) -> Iterator[tuple[Path, Path]]:
        target = self._path(key)
        partial = target.parent / f"{PARTIAL}{uuid.uuid4().hex}"
        with self._explained(key):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("xb") as file:
                    fill(file)
                    file.flush()
                    os.fsync(file.fileno())
                yield partial, target
                _sync_folder(target.parent)
            finally:
                partial.unlink(missing_ok=True)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._explain(error, key) from error

    def _explain(self, error: OSError, key: str) -> StoreError:
        where = str(self.folder / key)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "Free some space and run again: finished steps are kept."
            return StoreError("the disk is full", where=where, remedy=remedy)
        if error.errno == errno.EFBIG:
            remedy = "Raise the limit (`ulimit -f`, or the volume's) and run again: finished steps are kept."
            return StoreError("the file is larger than this system allows", where=where, remedy=remedy)
        if error.errno == errno.EROFS:
            return StoreError(
                "its file system is read-only", where=where, remedy="Mount it for writing, or use another place."
            )
        if error.errno in (errno.EACCES, errno.EPERM):
            remedy = "Fix the folder's permissions, or name another place for the campaign."
            return StoreError("this user may not read or write it", where=where, remedy=remedy)
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
            remedy = "Name another place for the campaign, or move what is in the way."
            return StoreError("a file is where a folder should be, or the reverse", where=where, remedy=remedy)
        return StoreError(f"cannot be accessed: {error.strerror or error}", where=where)

    def _no_links(self) -> StoreError:
        return StoreError(
            "this file system has no hard links, without which a step cannot be marked as done exactly once",
            where=self.uri,
            remedy="Put the campaign on a file system such as ext4, xfs, APFS, NTFS or NFS, or in s3://.",
        )


def _sync_folder(folder: Path) -> None:
    """Make the new name in the folder survive a power cut, as the content already does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
