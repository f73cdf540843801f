"""Keys of objects in a store, and how a listing and a message show them."""

from __future__ import annotations

from dataclasses import dataclass

from activelora.errors import StoreError


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it.

    Attributes:
        key: Its key.
        version: Differs whenever the content differs.
        is_settled: False where the object may still change without a change of its version, since it was changed so
            shortly ago that the clock of its file system may not show the next change.
    """

    key: str
    version: str
    is_settled: bool = True


PARTIAL = ".partial-"
"""Names of files that are being written begin with this."""


def check_key(key: str) -> str:
    """Return the key, or refuse one that would leave the store or mean different things on a disk and in S3.

    Raises:
        StoreError: The key is empty, absolute, climbs with ``..``, or has empty parts or control characters.
    """
    parts = key.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or any(part.startswith(PARTIAL) for part in parts):
        raise StoreError(f"{key!r} is not a key inside the campaign")
    if "\\" in key or not key.isprintable() or len(key.encode()) > 1000:
        raise StoreError(f"{key!r} is not a key inside the campaign")
    return key


def check_prefix(prefix: str) -> str:
    """Return the prefix, or refuse one that no key can start with.

    Raises:
        StoreError: It is not the beginning of a key; an empty one is.
    """
    folders = prefix.rpartition("/")[0]
    if folders or prefix.startswith("/"):
        check_key(folders)
    return prefix
