"""Regression: a number on a grid, whose predictive distribution is a softmax over the grid's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import cached_property
from typing import Any, ClassVar

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ConfigError, LabelError
from activelora.kinds import labels
from activelora.kinds.regression.kind import KIND
from activelora.tasks.prompt import Template
from activelora.tasks.task import Kind, Query, Reading


@dataclass(frozen=True)
class Regression:
    """Regression over minimum, minimum + step, ... maximum. A label is the index of its value, from 0.

    Attributes:
        config: The task section of the campaign file.
    """

    config: TaskConfig

    kind: ClassVar[Kind] = KIND
    reading: ClassVar[Reading] = "all_tokens"

    def __post_init__(self) -> None:
        for name in ("labels", "choices"):
            if name in self.template.fields:
                raise ConfigError(
                    f"a regression task has no {{{name}}}",
                    where="task.prompt",
                    remedy="Say in words which numbers may be answered.",
                )

    @cached_property
    def template(self) -> Template:
        """The parsed prompt."""
        return Template.parse(self.config.prompt)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the prompt names."""
        return self.template.fields

    @cached_property
    def _grid(self) -> tuple[Decimal, Decimal, Decimal]:
        low, high = self.config.minimum, self.config.maximum
        return Decimal(str(low)), Decimal(str(high)), Decimal(str(self.config.step))

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """The grid's values as the model writes them, all with the same number of decimals."""
        low, high, step = self._grid
        exponents = (number.normalize().as_tuple().exponent for number in (low, step))
        decimals = max(0, *(-exponent for exponent in exponents if isinstance(exponent, int)))
        count = int((high - low) / step) + 1
        return tuple(f"{low + index * step:.{decimals}f}" for index in range(count))

    @cached_property
    def values(self) -> tuple[float, ...]:
        """The grid's values, C of them, ascending."""
        return tuple(float(name) for name in self.label_names)

    @property
    def description(self) -> str:
        """What the model does."""
        return f"The model answers with {self.label_hint}, in steps of {self.config.step}."

    @property
    def label_hint(self) -> str:
        """The range."""
        return f"a number from {self.label_names[0]} to {self.label_names[-1]}"

    def queries(self, item: Item) -> list[Query]:
        """Fill the prompt with the item's columns; the answers are the grid's values."""
        return [Query(self.template.fill(item.fields), self.template.closing, self.label_names)]

    def targets(self, label: int) -> list[int]:
        """Return the index of the number."""
        return [label]

    def parse_label(self, raw: object, item: Item) -> int:
        """Accept a number within the range, and return the index of the nearest value (half: of the even index).

        Raises:
            LabelError: It is no number, or outside the range.
        """
        position = self._position(raw)
        return int(position.to_integral_value(ROUND_HALF_EVEN))

    def is_rounded(self, raw: object) -> bool:
        """Tell whether a label that :meth:`parse_label` accepts lies between two values of the grid."""
        position = self._position(raw)
        return position != position.to_integral_value()

    def label_name(self, label: int, item: Item) -> str:
        """Return the number."""
        return self.label_names[label]

    def written_label(self, label: int, item: Item) -> str:
        """Return the number."""
        return self.label_names[label]

    def label_counts(self, counts: Mapping[Any, int]) -> dict[str, int]:
        """Return the counts by number."""
        return labels.counts_by_name(self.label_names, counts)

    def missing_labels(self, counts: Mapping[Any, int]) -> list[str]:
        """Return none: not every number of a grid need occur."""
        return []

    def _position(self, raw: object) -> Decimal:
        """Return where on the grid a number lies, in steps from the minimum."""
        low, high, step = self._grid
        text = str(raw).strip()
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("NaN")
        if isinstance(raw, bool) or not number.is_finite():
            raise LabelError(f"{text[:80]!r} is not {self.label_hint}")
        if not low <= number <= high:
            raise LabelError(
                f"{text[:80]} is outside task.minimum {self.label_names[0]} and task.maximum {self.label_names[-1]}",
                remedy="Correct it, or widen the range.",
            )
        return (number - low) / step
