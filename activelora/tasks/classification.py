"""Classification: one of a fixed list of labels. Yes/no is the case of two."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ConfigError, LabelError
from activelora.tasks.prompt import Template
from activelora.tasks.task import Form, Query

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_YES_NO = {"yes": 1, "true": 1, "y": 1, "no": 0, "false": 0, "n": 0}


@dataclass(frozen=True)
class Classification:
    """Classification and yes/no: the softmax over the labels' tokens at the last prompt position.

    With ``answer: text`` labels may begin alike: a label's score is the log-likelihood of its tokens, as far as it
    takes to tell it from every other one (:mod:`activelora.modeling.answer_paths`).

    Attributes:
        config: The task section of the campaign file.
    """

    config: TaskConfig

    form: ClassVar[Form] = "choice"
    label_hint: ClassVar[str | None] = None
    scores_text = False
    needs_choices = False

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
            if "labels" not in self.template.places:
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
    def label_names(self) -> tuple[str, ...]:
        """The labels; for yes/no ``("no", "yes")``, so that 1 means yes."""
        return ("no", "yes") if self.config.kind == "yes_no" else self.config.labels

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the prompt names."""
        return tuple(place for place in self.template.places if place != "labels")

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

    def query(self, item: Item) -> Query:
        """Fill the prompt with the item's columns."""
        prompt = self.template.fill({**item.fields, "labels": self._label_list})
        return Query(prompt, self.template.closing, self._answers)

    def parse_label(self, raw: object, item: Item) -> int:
        """Accept a label's name in any case, its number from 0, and for yes/no also true, false, y and n.

        Raises:
            LabelError: It is none of these.
        """
        text = str(raw).strip().casefold()
        names = [name.strip().casefold() for name in self.label_names]
        if text in names:
            return names.index(text)
        if self.config.kind == "yes_no" and text in _YES_NO:
            return _YES_NO[text]
        if text.isdecimal() and int(text) < len(names) and not any(name.isdecimal() for name in names):
            return int(text)
        shown = ", ".join(self.label_names[:20]) + (", ..." if len(names) > 20 else "")
        raise LabelError(f"{str(raw)[:80]!r} is not a label of this task; it has: {shown}")

    def label_name(self, label: int, item: Item) -> str:
        """Return the label's name."""
        return self.label_names[label]
