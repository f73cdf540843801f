"""What a task is, for everything that does not care which one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from activelora.campaign.records import Item, Label

Form = Literal["choice", "number", "set", "text"]
"""What an answer is. ``choice``: one of the query's answers. ``number``: the same, where the answers are a grid of
numbers. ``set``: any number of labels, as a bit mask. ``text``: what the model writes itself."""


@dataclass(frozen=True)
class Query:
    """What the model is asked about one item.

    Attributes:
        prompt: The filled template, without the answer.
        closing: The template's literal words after its last column: cutting a long prompt never cuts these.
        answers: The text of every possible answer, C of them.
    """

    prompt: str
    closing: str
    answers: tuple[str, ...]


class Task(Protocol):
    """A kind of question. A label is the index into :attr:`Query.answers`, unless :attr:`form` says otherwise."""

    @property
    def form(self) -> Form:
        """What an answer is: decides how answers are scored and measured."""

    @property
    def label_hint(self) -> str | None:
        """What an annotator may write, where that is not simply one of the labels or choices."""

    @property
    def scores_text(self) -> bool:
        """True if answers are scored by the length-normalised likelihood of their text, not by one token."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels; empty where every item has its own choices."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the prompt names."""

    @property
    def needs_choices(self) -> bool:
        """True if every item brings its own choices."""

    def query(self, item: Item) -> Query:
        """Return the question for an item."""

    def parse_label(self, raw: object, item: Item) -> Label:
        """Return the label that a data file or a person wrote.

        Raises:
            LabelError: It is none of the task's labels; the message names those.
        """

    def label_name(self, label: Any, item: Item) -> str:
        """Return a label as people read and write it."""
