"""Multi-label classification: any number of the task's labels. The model says yes or no to each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ConfigError
from activelora.kinds.multi_label.kind import KIND
from activelora.tasks.prompt import Template
from activelora.tasks.task import Kind, Query, Reading
from activelora.tasks.written import find_label, refuse, split_labels

NO_LABELS = "none"
"""How the empty set is written where an empty cell would mean that nothing was said."""


@dataclass(frozen=True)
class MultiLabel:
    """One question an item and label. A label is a bit mask: bit c is set where the item has label c.

    Attributes:
        config: The task section of the campaign file.
    """

    config: TaskConfig

    kind: ClassVar[Kind] = KIND
    values: ClassVar[tuple[float, ...] | None] = None
    reading: ClassVar[Reading] = "first_token"

    def __post_init__(self) -> None:
        if "label" not in self.template.fields:
            raise ConfigError(
                "a multi_label task asks about one label at a time, and the prompt does not name it",
                where="task.prompt",
                remedy="Add {label}, for example: Is this about {label}? Answer:",
            )
        if not self.columns:
            raise ConfigError(
                "the prompt names no column of the data, so it would be the same for every item",
                where="task.prompt",
                remedy="Name a column of your data, for example {text}.",
            )

    @cached_property
    def template(self) -> Template:
        """The parsed prompt."""
        return Template.parse(self.config.prompt)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, C of them."""
        return self.config.labels

    @property
    def description(self) -> str:
        """What the model does."""
        return (
            f"For each of {len(self.label_names)} labels, the model says whether an item has it. Accuracy counts items "
            "all of whose labels are right:"
        )

    @property
    def label_hint(self) -> str:
        """How to write several labels."""
        return f"{' | '.join(self.label_names)}; several with | between them, no label as {NO_LABELS}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the prompt names."""
        return tuple(name for name in self.template.fields if name not in ("label", "labels"))

    def queries(self, item: Item) -> list[Query]:
        """Return C questions, one a label, in their order. Answer 0 is no, answer 1 is yes."""
        answers = tuple(self.config.answer_words.get(word, word) for word in ("no", "yes"))
        values = {**item.fields, "labels": ", ".join(self.label_names)}
        prompts = (self.template.fill({**values, "label": name}) for name in self.label_names)
        return [Query(prompt, self.template.closing, answers) for prompt in prompts]

    def targets(self, label: int) -> list[int]:
        """Return no or yes for each label."""
        return [label >> index & 1 for index in range(len(self.label_names))]

    def parse_label(self, raw: object, item: Item) -> int:
        """Accept a list of names, as such or as JSON, or names with ; or | between them; empty and ``none`` are none.

        Raises:
            LabelError: One of them is none of the task's labels.
        """
        return self._mask(split_labels(raw))

    def label_name(self, label: int, item: Item) -> str:
        """Return the names, with ; between them."""
        names = [name for index, name in enumerate(self.label_names) if label >> index & 1]
        return "; ".join(names) or NO_LABELS

    def is_rounded(self, raw: object) -> bool:
        """Return False: a label is one or none."""
        return False

    def written_label(self, label: int, item: Item) -> list[str]:
        """Return the names."""
        return [name for index, name in enumerate(self.label_names) if label >> index & 1]

    def label_counts(self, counts: Mapping[Any, int]) -> dict[str, int]:
        """Return how many items have each label, those that some have."""
        found = {name: _count_bit(counts, index) for index, name in enumerate(self.label_names)}
        return {name: count for name, count in found.items() if count}

    def missing_labels(self, counts: Mapping[Any, int]) -> list[str]:
        """Return the labels that no item has."""
        return [name for index, name in enumerate(self.label_names) if not _count_bit(counts, index)]

    def _mask(self, parts: Iterable[str]) -> int:
        parts = list(parts)
        found = [find_label(self.label_names, part) for part in parts]
        if [part.casefold() for part in parts] == [NO_LABELS] and found == [None]:
            return 0
        mask = 0
        for part, index in zip(parts, found, strict=True):
            if index is None:
                raise refuse(self.label_names, part)
            mask |= 1 << index
        return mask


def _count_bit(counts: Mapping[Any, int], index: int) -> int:
    return sum(count for mask, count in counts.items() if mask >> index & 1)
