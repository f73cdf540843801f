"""How the labels of a source were read, where that is not plain: told by ``activelora check``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from activelora.formats.exports.export import Export, passed_in_words
from activelora.tasks.task import Task
from activelora.tasks.written import LabelNumbers, is_no_label, label_of_number, numbers_read


@dataclass
class LabelReadings:
    """What was counted while a source was read.

    Attributes:
        task: Knows the labels.
        label_numbers: The campaign's ``data.label_numbers``.
        numbers: Rows by the number that stood for a label; of sets of labels, one row may have several.
        num_no_label: Rows whose label is -1, which is none.
        num_left_out: Rows that were left out for want of a label, those with -1 among them.
        passed: What annotators did that is no label, by tool and why.
        remarks: What is to be said of exports.
        num_disputed: Items whose annotators disagree, and that have no label therefore.
    """

    task: Task
    label_numbers: LabelNumbers = None
    numbers: Counter[int] = field(default_factory=Counter)
    num_no_label: int = 0
    num_left_out: int = 0
    passed: Counter[tuple[str, str]] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)
    num_disputed: int = 0

    def add(self, raw: object, *, is_label: bool, count: int = 1) -> None:
        """Take in a cell that was read.

        Args:
            raw: What it holds.
            is_label: Whether that is a label.
            count: Rows that hold the same.
        """
        if not is_label:
            self.num_no_label += count * is_no_label(self.task, raw)
        elif self.label_numbers is not None:
            for number in numbers_read(self.task, raw, self.label_numbers):
                self.numbers[number] += count

    def add_export(self, export: Export) -> None:
        """Take in a row of a labelling tool's export."""
        self.passed.update((export.tool, reason) for reason in export.passed)
        self.remarks.update(export.remarks)

    def by_name(self) -> Iterator[tuple[str, int]]:
        """Yield `number = label` and in how many rows it was read so, by number."""
        for number in sorted(self.numbers):
            name = label_of_number(tuple(self.task.label_names), number, self.label_numbers)
            yield f"{number} = {name}", self.numbers[number]

    def warnings(self, source: str) -> Iterator[str]:
        """Yield what somebody should know who expects a label in every row.

        Args:
            source: The setting that names the source.
        """
        marked = f"rows whose label is -1, which stands for no label: {self.num_no_label}"
        if self.num_left_out:
            why = "the oracle has no label to give for them" if source == "data.pool" else "they have no label"
            text = f"{source}: rows left out because {why}: {self.num_left_out}"
            yield f"{text} ({marked})" if self.num_no_label else text
        elif self.num_no_label:
            yield f"{source}: {marked}"
        for words in (*passed_in_words(self.passed), *(f"{count} {text}" for text, count in self.remarks.items())):
            yield f"{source}: {words}"
        if self.num_disputed:
            yield f"{source}: items without a label because their annotators disagree: {self.num_disputed}"
