"""Seeds: every random draw of a campaign is named, so that it can be repeated anywhere."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, *parts: str | int) -> int:
    """Return the seed of one named draw.

    The same campaign seed and name give the same draw in any process, on any engine and in any order.

    Args:
        seed: The campaign's seed.
        parts: The name of the draw, for example ``("select_batch", round)``.

    Returns:
        An integer in [0, 2**63).
    """
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def item_draw(seed: int, item_id: str) -> float:
    """Return a uniform number in [0, 1) that depends on the seed and the item, not on the item's place."""
    return (derive_seed(seed, item_id) >> 10) / 2**53
