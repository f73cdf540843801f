"""One small interface to storage: write-once objects under keys, on a disk or in S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from activelora.campaign.keys import Listed
from activelora.errors import StoreError
from activelora.moved import find_names
from activelora.redacting import redact


class Store(Protocol):
    """Objects under keys such as ``rounds/0003/train_adapter/manifest.json``.

    Every write is atomic: a reader sees the whole object or none, whenever the writer is killed. A missing object
    raises ``KeyError``; every other trouble raises :class:`~activelora.errors.StoreError` with its place and remedy.
    Threads may share a store.
    """

    @property
    def uri(self) -> str:
        """Where the store is: a folder or an ``s3://bucket/prefix``."""

    def read(self, key: str) -> bytes:
        """Return the object's content."""

    def open(self, key: str) -> BinaryIO:
        """Open the object for reading; a local, seekable file."""

    def write(self, key: str, content: bytes) -> None:
        """Write the object, replacing an older one."""

    def create(self, key: str, content: bytes) -> bool:
        """Write the object only if there is none, and tell whether this call wrote it.

        Of any number of callers, one gets True. After an error it is open whether the object was written. Content
        should hold something that no other caller writes, such as an attempt's id: see
        :meth:`activelora.campaign.s3.S3Store.create`.
        """

    def upload(self, key: str, path: Path) -> None:
        """Write the object from a file of any size."""

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with the prefix, sorted by code point."""

    def list_versions(self, prefix: str) -> Iterator[Listed]:
        """Yield the same objects as :meth:`list`, with what tells whether one has changed; reads none of them."""

    def delete(self, key: str) -> None:
        """Remove the object, if it is there."""


def open_store(uri: str) -> Store:
    """Open the store at a URI: a local folder (made on the first write) or ``s3://bucket/prefix``.

    Raises:
        StoreError: The URI has a scheme that is not supported.
    """
    if uri.startswith("s3://"):
        from activelora.campaign.s3 import S3Store

        return S3Store(uri)
    from activelora.campaign.local import LocalStore

    path = uri.removeprefix("file://")
    if not path.strip() or "\x00" in path:
        raise StoreError("the campaign's place is empty", remedy="Name a local folder or s3://bucket/prefix.")
    if "://" in path or path.startswith(("s3:", "file:")):
        raise StoreError(
            f"`{path.split(':', 1)[0]}:` is not a scheme that is supported here",
            where=redact(uri),
            remedy="Use a local folder or s3://bucket/prefix.",
        )
    return LocalStore(Path(path))


if not TYPE_CHECKING:  # a checker of types knows the new names only
    __getattr__ = find_names(__name__)
