"""What a pool that grows can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from activelora.config.conflict import Conflict

if TYPE_CHECKING:
    from activelora.config import CampaignConfig


def growth(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield sources that have no files, where new ones are to be looked for."""
    pool = config.data.pool
    if pool.refresh != "never" and pool.path.startswith(("hf://", "builtin:")):
        yield Conflict(
            "data.pool.refresh",
            f"`{pool.refresh}` looks for new files, and `{pool.path}` has none",
            "Set it to never, or name a folder, a glob or an s3:// prefix.",
        )
