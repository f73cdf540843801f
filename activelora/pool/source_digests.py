"""Which files a campaign's data came from, so that anybody can tell later whether they are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from activelora.config import CampaignConfig, SourceConfig
from activelora.pool.files import find_files
from activelora.redacting import without_credentials

Digests = Mapping[str, tuple[str, int]]
"""Name of a file → sha256 and size in bytes."""


def source_digests(config: CampaignConfig, known: Digests | None = None) -> list[dict[str, Any]]:
    """Return the files of pool and holdout, by source and name: what for, name, size in bytes and sha256.

    Each file whose digest is not known is read once more for it. What is no file, such as a data set of a hub, has its
    name alone.

    Args:
        config: The campaign's settings.
        known: Digests of files of the pool that have been read for them already.

    Raises:
        DataError: A source is not there.
    """
    sources = {"pool": config.data.pool, "holdout": config.data.holdout}
    return [
        {"used_for": name, **file}
        for name, source in sources.items()
        if source is not None
        for file in _files(source, config.data.folder, (known or {}) if name == "pool" else {})
    ]


def _files(source: SourceConfig, folder: str, known: Digests) -> Iterator[dict[str, Any]]:
    if source.path.startswith(("hf://", "builtin:")):
        yield {"name": source.path, "num_bytes": None, "sha256": None}
        return
    for file in find_files(source, folder):
        sha256, num_bytes = known.get(file.name) or file.digest()
        yield {"name": without_credentials(file.name), "num_bytes": num_bytes, "sha256": sha256}
