"""Generation: the model writes its answer, from which a final answer is taken and compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any, ClassVar

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ConfigError, LabelError
from activelora.kinds.generation.kind import KIND
from activelora.tasks.prompt import Template
from activelora.tasks.task import Kind, Query, Reading
from activelora.tasks.written import plain_text

MARK = "####"
MAX_ANSWER_CHARS = 20_000
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?|[-+]?\.\d+")
_MAX_SHOWN = 200


@dataclass(frozen=True)
class Generation:
    """A text as answer; the label is the gold text.

    Attributes:
        config: The task section of the campaign file.
    """

    config: TaskConfig

    kind: ClassVar[Kind] = KIND
    values: ClassVar[tuple[float, ...] | None] = None
    reading: ClassVar[Reading] = "written"
    description: ClassVar[str] = (
        "The model writes its answer as text; accuracy counts final answers that equal the gold one."
    )
    label_names: ClassVar[tuple[str, ...]] = ()
    label_hint: ClassVar[str] = "the answer as text"

    def __post_init__(self) -> None:
        for name in ("labels", "choices"):
            if name in self.template.fields:
                raise ConfigError(
                    f"a generation task has no {{{name}}}", where="task.prompt", remedy="Name a column of your data."
                )

    @cached_property
    def template(self) -> Template:
        """The parsed prompt."""
        return Template.parse(self.config.prompt)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the prompt names."""
        return self.template.fields

    def queries(self, item: Item) -> list[Query]:
        """Fill the prompt with the item's columns; there is no list of answers."""
        return [Query(self.template.fill(item.fields), self.template.closing, ())]

    def targets(self, label: str) -> list[int]:
        """Return the only answer that there is to learn: the gold text."""
        return [0]

    def parse_label(self, raw: object, item: Item) -> str:
        """Accept any text that is not empty; numbers are written out.

        Raises:
            LabelError: It is empty, far too long, or no text.
        """
        if not isinstance(raw, str | int | float):
            raise LabelError(f"the answer is no text but {type(raw).__name__}")
        text = str(raw).replace("\r\n", "\n").strip()
        if not text:
            raise LabelError("the answer is empty")
        if len(text) > MAX_ANSWER_CHARS:
            raise LabelError(f"the answer has {len(text)} characters, more than {MAX_ANSWER_CHARS}")
        if "\x00" in text or not _is_text(text):
            raise LabelError("the answer holds characters that no text may hold")
        return text

    def label_name(self, label: str, item: Item) -> str:
        """Return the beginning of the text."""
        return label if len(label) <= _MAX_SHOWN else f"{label[:_MAX_SHOWN]}…"

    def is_rounded(self, raw: object) -> bool:
        """Return False: a text stays as it is."""
        return False

    def written_label(self, label: str, item: Item) -> str:
        """Return the text."""
        return label

    def label_counts(self, counts: Mapping[Any, int]) -> dict[str, int]:
        """Return nothing: nearly every text is another one."""
        return {}

    def missing_labels(self, counts: Mapping[Any, int]) -> list[str]:
        """Return none: there is no list of texts."""
        return []

    def final_answer(self, text: str) -> str | None:
        """Return what of an answer is compared; None if the expression of ``task.extract`` finds nothing."""
        if self.config.extract is not None:
            matches = list(re.finditer(self.config.extract, text))
            if not matches:
                return None
            return (matches[-1].group(1) if matches[-1].re.groups else matches[-1].group()) or ""
        if MARK in text:
            return text.rpartition(MARK)[2].strip().partition("\n")[0].strip()
        numbers = _NUMBER.findall(text)
        return numbers[-1] if numbers else text.strip()

    def is_right(self, answer: str, gold: str) -> bool:
        """Tell whether an answer's final part equals the gold answer's (the whole gold text, if nothing is found)."""
        found, wanted = self.final_answer(answer), self.final_answer(gold)
        return found is not None and same_answer(found, gold if wanted is None else wanted)

    def means_the_same(self, left: str, right: str) -> bool:
        """Tell whether two answers have the same final part, or neither has one and their whole texts are the same."""
        found = self.final_answer(left), self.final_answer(right)
        if found[0] is None or found[1] is None:
            return found == (None, None) and same_answer(left, right)
        return same_answer(found[0], found[1])


def same_answer(left: str, right: str) -> bool:
    """Compare as numbers, where both are; else without regard to case, white space and punctuation at the ends."""
    numbers = _as_number(left), _as_number(right)
    if None not in numbers:
        return numbers[0] == numbers[1]
    return plain_text(left) == plain_text(right)


def _as_number(text: str) -> Decimal | None:
    plain = text.strip().rstrip(".").replace(",", "").replace(" ", "").strip("$€£%")
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)", plain):
        return None
    try:
        return Decimal(plain)
    except InvalidOperation:
        return None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
