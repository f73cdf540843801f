"""The sha256 of a base model's large files, computed once on a machine as long as they stay as they are.

The model hub's client keeps files under names that are their sha256; of others the cache folder remembers it.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from contextlib import suppress
from pathlib import Path

from activelora.modeling.builtin import cache_folder

_SHA256 = re.compile(r"[0-9a-f]{64}")


def file_sha256(path: Path) -> str:
    """Return a file's sha256. A file is taken for the same by its path, size, inode and times of change.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
    """
    return _blob_name(path) or _remembered(path)


def _blob_name(path: Path) -> str | None:
    """Return the digest that the hub's cache names a file by: ``models--…/blobs/SHA256``, for what git keeps apart."""
    if not path.is_symlink():
        return None
    blob = path.resolve()
    is_blob = blob.parent.name == "blobs" and blob.parent.parent.name.startswith("models--")
    return blob.name if is_blob and _SHA256.fullmatch(blob.name) else None


def _remembered(path: Path) -> str:
    """Return the digest that is kept for a file, or compute it now, which is then kept."""
    path = path.resolve()
    found = path.stat()
    state = [str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
    name = hashlib.sha256(json.dumps(state).encode()).hexdigest()
    note = cache_folder() / "digests" / f"{name}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        document = json.loads(note.read_text(encoding="utf-8"))
        if document["file"] == state and _SHA256.fullmatch(document["sha256"]):
            return str(document["sha256"])
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    with suppress(OSError):  # a folder that cannot be written costs time alone
        note.parent.mkdir(parents=True, exist_ok=True)
        partial = note.with_suffix(f".partial-{uuid.uuid4().hex}")
        partial.write_text(json.dumps({"file": state, "sha256": sha256}), encoding="utf-8")
        partial.replace(note)
    return sha256
