"""What kinds with named labels do alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def counts_by_name(names: Sequence[str], counts: Mapping[Any, int]) -> dict[str, int]:
    """Return counts by label as counts by name; by number where there are no names.

    Args:
        names: Names of the labels.
        counts: Number of items by label, a label being the index of its name.
    """
    return {names[label] if names else str(label): count for label, count in counts.items()}


def missing(names: Sequence[str], counts: Mapping[Any, int]) -> list[str]:
    """Return the names of the labels that no item has."""
    return [name for label, name in enumerate(names) if label not in counts]
