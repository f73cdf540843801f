"""What the checks of a campaign file have found, problems apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from activelora.pool.inspect import DataSummary


@dataclass
class Findings:
    """What was found.

    Attributes:
        data: Counts of the data.
        facts: What is there, as pairs of a name and words.
        warnings: What is allowed but looks wrong.
    """

    data: DataSummary | None = None
    facts: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
