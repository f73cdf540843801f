"""What has become of a pool since its first reading, for status, report and people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from activelora.campaign.refreshes import pool_now
from activelora.campaign.snapshot import INGEST, View, snapshot_of
from activelora.quantities import quantity

PROBLEMS = "problems"
"""The detail of a refresh with why files were not taken."""


@dataclass(frozen=True)
class Growth:
    """How a pool has grown.

    Attributes:
        num_items: Items that it has now.
        num_refreshes: Refreshes that are done.
        num_new: Items that they brought.
        num_vanished: Items that the source held no more when it was last looked at; they stay.
        num_left_out: New items that ``data.pool.limit`` left out.
        problems: Why files were not taken by the last refresh.
        warnings: What else the last refresh had to say.
    """

    num_items: int
    num_refreshes: int = 0
    num_new: int = 0
    num_vanished: int = 0
    num_left_out: int = 0
    problems: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def sentences(self) -> list[str]:
        """The same in words; nothing of a pool that has not been refreshed."""
        if not self.num_refreshes:
            return []
        times = "once" if self.num_refreshes == 1 else f"{self.num_refreshes} times"
        items = quantity(self.num_items, "item")
        said = [f"pool: {items}, {self.num_new:,} of them new since the first reading; refreshed {times}"]
        if self.num_vanished:
            said.append(
                f"pool: {quantity(self.num_vanished, 'item stays that is', 'items stay that are')} in no file any more"
            )
        if self.num_left_out:
            said.append(
                f"pool: {quantity(self.num_left_out, 'new item was', 'new items were')} left out by data.pool.limit"
            )
        said += [f"pool: not taken: {problem}" for problem in self.problems]
        return said + [f"pool: {warning}" for warning in self.warnings]

    def document(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "num_items": self.num_items,
            "num_refreshes": self.num_refreshes,
            "num_new": self.num_new,
            "num_vanished": self.num_vanished,
            "num_left_out": self.num_left_out,
            "problems": list(self.problems),
            "warnings": list(self.warnings),
            "sentences": self.sentences,
        }


def growth_of(campaign: View) -> Growth:
    """Return how a campaign's pool has grown; no items before it is read."""
    seen = snapshot_of(campaign)
    if INGEST not in seen.done:
        return Growth(0)
    parts = pool_now(seen)
    if not parts.refreshes:
        return Growth(parts.num_items)
    last = parts.refreshes[-1]

    def total(name: str) -> int:
        return sum(int(manifest.metrics[name]) for manifest in parts.refreshes)

    return Growth(
        parts.num_items,
        len(parts.refreshes),
        total("num_new"),
        int(last.metrics["num_vanished"]),
        total("num_left_out"),
        tuple(last.details[PROBLEMS]),
        tuple(last.details["warnings"]),
    )
