"""Labels that some door cannot write back: a table, a worksheet, a labelling tool."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from activelora.config.conflict import Conflict
from activelora.tasks.written import plain_name

if TYPE_CHECKING:
    from activelora.config import CampaignConfig

_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode's categories of control characters, halves of characters, and ends of lines and paragraphs."""


def label_names(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield labels that would come back as none, or as another one."""
    first: dict[str, str] = {}
    for label in config.task.labels:
        name = plain_name(label)
        if label != label.strip():
            problem, remedy = "has blanks at its ends, which tables and people leave out", f"Write {label.strip()!r}."
        elif any(unicodedata.category(character) in _UNSEEN for character in label):
            problem, remedy = "has characters that a cell of a table cannot hold", "Write it in one line of plain text."
        elif not name:
            problem, remedy = "is nothing but quotes and blanks", "Give it a name."
        elif name in first:
            problem = f"differs from {first[name]!r} by case, blanks, quotes or the composition of letters alone"
            remedy = "Give one of the two another name."
        else:
            first[name] = label
            continue
        yield Conflict("task.labels", f"label {label!r} {problem}", remedy)
