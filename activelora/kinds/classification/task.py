"""One of a fixed list of labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ConfigError
from activelora.kinds import labels
from activelora.kinds.classification.kind import KIND
from activelora.tasks.prompt import Template
from activelora.tasks.task import Kind, Query, Reading
from activelora.tasks.written import find_label, refuse

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Classification:
    """The softmax over the labels' tokens at the last prompt position.

    With ``answer: text`` labels may begin alike: a label's score is the log-likelihood of its tokens, as far as it
    takes to tell it from every other one (:mod:`activelora.modeling.answer_paths`).

    Attributes:
        config: The task section of the campaign file.
        kind: Its kind: other kinds with a fixed list of labels are made of the same parts.
        label_names: The labels.
        synonyms: Other ways to write a label in data → its number.
    """

    config: TaskConfig
    kind: Kind
    label_names: tuple[str, ...]
    synonyms: Mapping[str, int] = field(default_factory=dict)

    label_hint: ClassVar[str | None] = None
    values: ClassVar[tuple[float, ...] | None] = None

    def __post_init__(self) -> None:
        if not self.columns:
            raise ConfigError(
                "the prompt names no column of the data, so it would be the same for every item",
                where="task.prompt",
                remedy="Name a column of your data, for example {text}.",
            )
        if self.config.answer == "letters":
            if len(self.label_names) > len(_LETTERS):
                raise ConfigError(
                    f"{len(self.label_names)} labels are more than the {len(_LETTERS)} letters",
                    where="task.answer",
                    remedy="Use `answer: text`, or `answer: words` where all labels begin differently.",
                )
            if "labels" not in self.template.fields:
                raise ConfigError(
                    "`answer: letters` needs the list of labels in the prompt",
                    where="task.prompt",
                    remedy="Add {labels} to the prompt, or use `answer: words`.",
                )

    @cached_property
    def template(self) -> Template:
        """The parsed prompt."""
        return Template.parse(self.config.prompt)

    @property
    def reading(self) -> Reading:
        """By its first token, or for ``answer: text`` by as many as tell the labels apart."""
        return "as_far_as_differs" if self.config.answer == "text" else "first_token"

    @property
    def description(self) -> str:
        """What the model does."""
        return f"The model puts every item into one of {len(self.label_names)} classes:"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the prompt names."""
        return tuple(name for name in self.template.fields if name != "labels")

    @cached_property
    def _answers(self) -> tuple[str, ...]:
        if self.config.answer == "letters":
            return tuple(_LETTERS[: len(self.label_names)])
        return tuple(self.config.answer_words.get(name, name) for name in self.label_names)

    @cached_property
    def _label_list(self) -> str:
        if self.config.answer == "letters":
            return "\n".join(f"{_LETTERS[index]}. {name}" for index, name in enumerate(self.label_names))
        return ", ".join(self._answers)

    def queries(self, item: Item) -> list[Query]:
        """Fill the prompt with the item's columns."""
        prompt = self.template.fill({**item.fields, "labels": self._label_list})
        return [Query(prompt, self.template.closing, self._answers)]

    def targets(self, label: int) -> list[int]:
        """Return the label."""
        return [label]

    def parse_label(self, raw: object, item: Item) -> int:
        """Accept a label's name, as :func:`activelora.tasks.written.find_label` finds it, and synonyms.

        Raises:
            LabelError: It is none of these.
        """
        found = find_label(self.label_names, raw)
        if found is None and self.synonyms:
            number = find_label(tuple(self.synonyms), raw)
            found = None if number is None else tuple(self.synonyms.values())[number]
        if found is None:
            raise refuse(self.label_names, raw)
        return found

    def label_name(self, label: int, item: Item) -> str:
        """Return the label's name."""
        return self.label_names[label]

    def is_rounded(self, raw: object) -> bool:
        """Return False: a label is one or none."""
        return False

    def written_label(self, label: int, item: Item) -> str:
        """Return the label's name."""
        return self.label_names[label]

    def label_counts(self, counts: Mapping[Any, int]) -> dict[str, int]:
        """Return the counts by name."""
        return labels.counts_by_name(self.label_names, counts)

    def missing_labels(self, counts: Mapping[Any, int]) -> list[str]:
        """Return the labels that no item has."""
        return labels.missing(self.label_names, counts)


def make(config: TaskConfig) -> Classification:
    """Return the task of a campaign file's `labels`."""
    return Classification(config, KIND, config.labels)
