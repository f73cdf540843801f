"""What is known about every different item of a source, without its text.

A pool of millions fits: an item costs a few hundred bytes here. Texts are read again when they are written.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from activelora.campaign.records import Item, Label
from activelora.errors import DataError
from activelora.formats.problems import Problems
from activelora.formats.row import Row
from activelora.pool.label_readings import LabelReadings
from activelora.pool.votes import Provenance, Vote, Votes, provenance_of
from activelora.tasks.task import Task
from activelora.tasks.written import LabelNumbers


def majority(votes: Mapping[Label, int]) -> Label | None:
    """Return the label with strictly most votes; None where there is none."""
    most = max(votes.values(), default=0)
    leading = [label for label, count in votes.items() if count == most]
    return leading[0] if len(leading) == 1 else None


class Census:
    """Counts a source's items, drops exact duplicates, and finds rows that contradict each other.

    Attributes:
        num_rows: Rows that could be read.
        num_duplicates: Rows whose content was there already.
        num_rounded: Rows whose label was rounded to a step of the task's grid.
        longest_chars: Length of the longest item: its fields and choices.
        sample: The first item.
        readings: How labels were read.

    Args:
        task: Names the labels.
        problems: Takes what is wrong.
        drops_contradictions: Leave out an item whose rows carry different labels; else that is a problem.
        label_numbers: What numbers mean as labels.
    """

    def __init__(
        self,
        task: Task,
        problems: Problems,
        drops_contradictions: bool = False,
        label_numbers: LabelNumbers = None,
    ) -> None:
        self.readings = LabelReadings(task, label_numbers)
        self._task = task
        self._problems = problems
        self._drops_contradictions = drops_contradictions
        self._dropped: set[str] = set()
        self._disputed: set[str] = set()
        self._votes: dict[str, list[Vote]] = {}
        self._indices: dict[str, int] = {}
        self._labels: list[Label | None] = []
        self._lines = array("q")
        self._file_numbers = array("q")
        self._files: dict[str, int] = {}
        self._own_ids: dict[bytes, int] = {}
        self.num_rows = 0
        self.num_duplicates = 0
        self.num_rounded = 0
        self.longest_chars = 0
        self.sample: Item | None = None

    def add(self, item: Item, label: Label | Votes | None, row: Row) -> None:
        """Take a row in. Where annotators vote on an item, call :meth:`settle` after the last row."""
        self.num_rows += 1
        if isinstance(label, tuple) or item.item_id in self._votes:
            self._vote(item, label)
            label = None
        index = self._indices.get(item.item_id)
        if index is None:
            index = self._add_item(item, label, row)
        else:
            self.num_duplicates += 1
            self._compare_labels(index, item, label, row)
        if item.source_id is not None:
            self._compare_own_ids(index, item.source_id, row)

    def settle(self, *, needs_label: bool) -> None:
        """Give each item that was voted on the label with strictly most votes, and count the others.

        Args:
            needs_label: Leave out an item whose annotators disagree; else it has no label.
        """
        for item_id, votes in self._votes.items():
            label = majority(Counter(vote.label for vote in votes))
            self._labels[self._indices[item_id]] = label
            if label is None and votes:
                self.readings.num_disputed += 1
                self._disputed |= {item_id} if needs_label else set()

    def _vote(self, item: Item, label: Label | Votes | None) -> None:
        votes = self._votes.setdefault(item.item_id, [])
        index = self._indices.get(item.item_id)
        if index is not None and (known := self._labels[index]) is not None:
            votes.append(Vote(known))  # of a plain row before
            self._labels[index] = None
        votes += label if isinstance(label, tuple) else () if label is None else (Vote(label),)

    def __len__(self) -> int:
        """Return the number of different items."""
        return len(self._indices) - len(self._dropped | self._disputed)

    def __iter__(self) -> Iterator[str]:
        """Yield the ids, as first met."""
        return (item_id for item_id in self._indices if item_id in self)

    def __contains__(self, item_id: str) -> bool:
        """Tell whether the source has the item."""
        return item_id in self._indices and item_id not in self._dropped and item_id not in self._disputed

    @property
    def num_contradictions(self) -> int:
        """Items left out because their rows carry different labels."""
        return len(self._dropped)

    def label(self, item_id: str) -> Label | None:
        """Return an item's gold label, if it has one."""
        return self._labels[self._indices[item_id]]

    def provenance(self, item_id: str) -> Provenance:
        """Return who gave an item its label and when, as far as a labelling tool's export tells."""
        label = self.label(item_id)
        return Provenance() if label is None else provenance_of(self._votes.get(item_id, ()), label)

    def labeled(self, ids: Iterable[str]) -> dict[str, Label]:
        """Return the labels of those of the items that have one."""
        return {id_: label for id_ in ids if (label := self.label(id_)) is not None}

    def label_counts(self, ids: Iterable[str]) -> dict[Label, int]:
        """Return how many of the items have each label, by label."""
        counts = Counter(self.labeled(ids).values())
        ordered: list[Any] = sorted(counts)  # all of one kind: numbers, or texts
        return {label: counts[label] for label in ordered}

    def _add_item(self, item: Item, label: Label | None, row: Row) -> int:
        index = self._indices[item.item_id] = len(self._indices)
        self._labels.append(label)
        self._lines.append(row.line)
        self._file_numbers.append(self._files.setdefault(row.file, len(self._files)))
        length = sum(map(len, item.fields.values())) + sum(map(len, item.choices))
        self.longest_chars = max(self.longest_chars, length)
        self.sample = self.sample or item
        return index

    def _compare_labels(self, index: int, item: Item, label: Label | None, row: Row) -> None:
        if label is None:
            return
        known = self._labels[index]
        if known is None:
            self._labels[index] = label
        elif known != label and self._drops_contradictions:
            self._dropped.add(item.item_id)
        elif known != label:
            here, there = self._task.label_name(label, item), self._task.label_name(known, item)
            problem = f"the same item is labelled `{here}` here and `{there}` at {self._where(index)}"
            remedy = "Keep the row that is right and remove the other, or set `data.contradictions: drop`."
            self._problems.add(DataError(problem, where=row.where, remedy=remedy))

    def _compare_own_ids(self, index: int, own_id: str, row: Row) -> None:
        digest = hashlib.blake2b(own_id.encode(), digest_size=12).digest()
        known = self._own_ids.setdefault(digest, index)
        if known != index:
            problem = f"the id {own_id[:80]!r} stands for another item at {self._where(known)}"
            remedy = "Make the ids unique, or leave out `data.columns.id`."
            self._problems.add(DataError(problem, where=row.where, remedy=remedy))

    def _where(self, index: int) -> str:
        file = list(self._files)[self._file_numbers[index]]
        return f"{file}:{self._lines[index]}"
