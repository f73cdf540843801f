"""Which files a campaign's data came from, so that anybody can tell later whether they are the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from activelora.config import CampaignConfig, SourceConfig
from activelora.pool.files import find_files
from activelora.redacting import without_credentials


def source_digests(config: CampaignConfig) -> list[dict[str, Any]]:
    """Return the files of pool and holdout, by source and name: what for, name, size in bytes and sha256.

    Each file is read once more for its digest. What is no file, such as a data set of a hub, has its name alone.

    Args:
        config: The campaign's settings.

    Raises:
        DataError: A source is not there.
    """
    sources = {"pool": config.data.pool, "holdout": config.data.holdout}
    return [
        {"used_for": name, **file}
        for name, source in sources.items()
        if source is not None
        for file in _files(source, config.data.folder)
    ]


def _files(source: SourceConfig, folder: str) -> Iterator[dict[str, Any]]:
    if source.path.startswith(("hf://", "builtin:")):
        yield {"name": source.path, "num_bytes": None, "sha256": None}
        return
    for file in find_files(source, folder):
        sha256, num_bytes = file.digest()
        yield {"name": without_credentials(file.name), "num_bytes": num_bytes, "sha256": sha256}
