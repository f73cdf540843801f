"""The items that a table has once its columns are known: how many, how long, and how many of them have a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from activelora.config import SourceConfig
from activelora.formats.problems import Problems
from activelora.pool.content import normal_text
from activelora.pool.profile import MAX_ROWS, as_written, is_blank, table_rows
from activelora.tasks.written import plain_name, whole_number

_SAMPLE = 400


@dataclass
class Texts:
    """What was counted.

    Attributes:
        num_items: Different items.
        num_duplicates: Rows whose item was there already.
        num_empty: Rows without any text.
        num_labelled: Items with a label.
        num_contradicted: Items whose rows carry different labels.
        num_chars: Length of each item's texts together, ascending.
        sample: Some of the items' texts.
    """

    num_items: int = 0
    num_duplicates: int = 0
    num_empty: int = 0
    num_labelled: int = 0
    num_contradicted: int = 0
    num_chars: list[int] = field(default_factory=list)
    sample: list[str] = field(default_factory=list)

    def quantile(self, share: float) -> int:
        """Return the length that this share of the items does not pass."""
        return self.num_chars[min(len(self.num_chars) - 1, int(share * len(self.num_chars)))] if self.num_chars else 0


def count_texts(
    source: SourceConfig, folder: str, columns: Sequence[str], question: str, label: str, *, are_classes: bool = True
) -> Texts:
    """Read a table again and return what items it has; of long ones the first rows, as in its profile.

    Args:
        source: The table.
        folder: The folder that relative paths start at.
        columns: The columns that make an item: texts, and choices.
        question: What is asked of a labelling tool's export.
        label: The column of labels.
        are_classes: -1 stands for no label.
    """
    found = Texts()
    labels: dict[bytes, set[str]] = {}
    for number, (row, _) in enumerate(table_rows(source, folder, Problems(), question, columns)):
        if number == MAX_ROWS:
            break
        values = [normal_text(as_written(row.values.get(name, ""))) for name in columns]
        if not any(values):
            found.num_empty += 1
            continue
        key = blake2b("\0".join(values).encode(errors="replace"), digest_size=12).digest()
        if key in labels:
            found.num_duplicates += 1
        else:
            labels[key] = set()
            found.num_chars.append(sum(map(len, values)))
            if len(found.sample) < _SAMPLE:
                found.sample.append("\n".join(values))
        raw = row.values.get(label)
        if not is_blank(raw) and not (are_classes and whole_number(raw) == -1):
            labels[key].add(plain_name(as_written(raw)))
    found.num_chars.sort()
    found.num_items = len(labels)
    found.num_labelled = sum(bool(one) for one in labels.values())
    found.num_contradicted = sum(len(one) > 1 for one in labels.values())
    return found
