"""One small interface to storage: write-once objects under keys, on a disk or in S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from activelora.errors import StoreError


class Store(Protocol):
    """Objects under keys such as ``rounds/0003/train_adapter/manifest.json``.

    Every write is atomic: a reader sees the whole object or none. A missing object raises ``KeyError``;
    every other trouble raises :class:`~activelora.errors.StoreError` with its place and remedy.
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
        """Write the object only if there is none, and tell whether this call wrote it."""

    def upload(self, key: str, path: Path) -> None:
        """Write the object from a file of any size."""

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with the prefix, sorted."""

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
    if "://" in uri and not uri.startswith("file://"):
        scheme = uri.split("://", 1)[0]
        raise StoreError(
            f"`{scheme}://` is not supported", where=uri, remedy="Use a local folder or s3://bucket/prefix."
        )
    from activelora.campaign.local import LocalStore

    return LocalStore(Path(uri.removeprefix("file://")))


def check_key(key: str) -> str:
    """Return the key, or refuse one that would leave the store.

    Raises:
        StoreError: The key is empty, absolute or climbs with ``..``.
    """
    parts = key.split("/")
    if not key or key.startswith("/") or ".." in parts or "\x00" in key or "\\" in key:
        raise StoreError(f"`{key}` is not a key inside the campaign")
    return key
