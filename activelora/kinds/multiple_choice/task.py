"""Multiple choice: one of the item's own choices, whose number may differ by item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ConfigError, LabelError
from activelora.kinds import labels
from activelora.kinds.multiple_choice.kind import KIND
from activelora.tasks.prompt import Template
from activelora.tasks.task import Kind, Query, Reading

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_REMEDY = "Write whichever of letter, number from 0 and text means one choice only; in JSON, an integer is the number."


@dataclass(frozen=True)
class MultipleChoice:
    """Multiple choice by letter, or by the length-normalised log-likelihood of each choice's text.

    Attributes:
        config: The task section of the campaign file.
    """

    config: TaskConfig

    kind: ClassVar[Kind] = KIND
    label_hint: ClassVar[str | None] = None
    label_names: ClassVar[tuple[str, ...]] = ()
    values: ClassVar[tuple[float, ...] | None] = None
    description: ClassVar[str] = "Every item brings its own choices; the model picks one."

    def __post_init__(self) -> None:
        fields = self.template.fields
        if self.config.answer == "letters" and "choices" not in fields:
            raise ConfigError(
                "`answer: letters` needs the choices in the prompt",
                where="task.prompt",
                remedy="Add {choices} to the prompt, or use `answer: text`.",
            )

    @property
    def reading(self) -> Reading:
        """By its letter, or for ``answer: text`` by all its tokens."""
        return "mean_of_tokens" if self.config.answer == "text" else "first_token"

    @cached_property
    def template(self) -> Template:
        """The parsed prompt."""
        return Template.parse(self.config.prompt)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the prompt names."""
        return tuple(name for name in self.template.fields if name != "choices")

    def queries(self, item: Item) -> list[Query]:
        """Fill the prompt with the item's columns and its lettered choices."""
        letters = tuple(_LETTERS[: len(item.choices)])
        lines = "\n".join(f"{letter}. {choice}" for letter, choice in zip(letters, item.choices, strict=True))
        prompt = self.template.fill({**item.fields, "choices": lines})
        answers = item.choices if self.reading == "mean_of_tokens" else letters
        return [Query(prompt, self.template.closing, answers)]

    def targets(self, label: int) -> list[int]:
        """Return the choice."""
        return [label]

    def parse_label(self, raw: object, item: Item) -> int:
        """Accept an integer (the choice's number from 0); or written, the choice's text, its letter or its number.

        Raises:
            LabelError: It is none of these, or means one choice as text and another as letter or number.
        """
        text, last = str(raw).strip(), len(item.choices) - 1
        allowed = f"write a letter A-{_LETTERS[last]}, a number 0-{last} or the choice's text"
        if isinstance(raw, int) and not isinstance(raw, bool):
            readings = {raw} if 0 <= raw <= last else set()
        else:
            readings = self._readings(text, item)
        if len(readings) > 1:
            meant = " or ".join(self.label_name(label, item)[:40] for label in sorted(readings))
            raise LabelError(f"{text[:80]!r} may mean {meant}", remedy=_REMEDY)
        if not readings:
            raise LabelError(f"{text[:80]!r} is none of the item's {last + 1} choices; {allowed}")
        return readings.pop()

    def _readings(self, text: str, item: Item) -> set[int]:
        folded = [choice.strip().casefold() for choice in item.choices]
        readings = {folded.index(text.casefold())} if folded.count(text.casefold()) == 1 else set()
        if len(text) == 1 and text.upper() in _LETTERS[: len(item.choices)]:
            readings.add(_LETTERS.index(text.upper()))
        if text.isdecimal() and int(text) < len(item.choices):
            readings.add(int(text))
        return readings

    def label_name(self, label: int, item: Item) -> str:
        """Return letter and text of the choice."""
        return f"{_LETTERS[label]}. {item.choices[label]}"

    def is_rounded(self, raw: object) -> bool:
        """Return False: a label is one or none."""
        return False

    def written_label(self, label: int, item: Item) -> int:
        """Return the number of the choice, which is never mistaken for another one's text."""
        return label

    def label_counts(self, counts: Mapping[Any, int]) -> dict[str, int]:
        """Return the counts by the choices' numbers."""
        return labels.counts_by_name((), counts)

    def missing_labels(self, counts: Mapping[Any, int]) -> list[str]:
        """Return none: choices are not the same from item to item."""
        return []
