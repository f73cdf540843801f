"""A regression task out of a table."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from activelora.errors import DataError
from activelora.pool.label_table import Line, Table
from activelora.pool.profile import as_number

_NAMED = re.compile(
    r"stars?|ratings?|scores?|grades?|points?|marks?|level|price|amount|age|urgency|priority|severity|intensity|"
    r"similarity|quality|degree|polarity|valence|percent(age)?",
    re.IGNORECASE,
)
_MOST_CLASSES = 20
_MOST_VALUES = 100
_STEPS = [Decimal(sign) * Decimal(10) ** power for power in range(-4, 9) for sign in ("1", "2", "5")]


def fits(table: Table) -> str | None:
    """Return why the labels are numbers on a scale, or None: few whole numbers may be numbers of classes."""
    label = table.label
    if not label.is_numeric or label.num_values < 2:
        return None
    if label.values is None or label.num_values > _MOST_CLASSES:
        return f"`{label.name}` holds numbers, too many different ones for classes"
    if any(not float(value).is_integer() for value in label.values):
        return f"`{label.name}` holds numbers with fractions"
    if any(_NAMED.fullmatch(word) for word in re.split(r"[\W_]+", label.name)):
        return f"`{label.name}` holds numbers and is called like a scale; `--kind classification` makes classes of them"
    return None


def lines(table: Table) -> list[Line]:
    """Return the settings.

    Raises:
        DataError: There is something that is no number, or one number only.
    """
    label = table.label
    numbers = sorted({number for value in label.values or () if (number := as_number(value)) is not None})
    if not label.is_numeric or len(numbers) < 2:
        problem = f"the label column `{label.name}` does not hold numbers alone, two different ones at least"
        raise DataError(problem, remedy="A regression task learns numbers.")
    low, high, step = grid(numbers)
    asked = f"{table.shown}{table.asked}, from {low:f} to {high:f}:"
    seen = f"the labels lie between {numbers[0]:g} and {numbers[-1]:g}"
    return [
        Line("prompt", asked, "the question as the model sees it: say what the ends mean"),
        Line("minimum", _plain(low), f"{seen}; one outside minimum and maximum is an error"),
        Line("maximum", _plain(high)),
        Line("step", _plain(step), "a label between two steps is rounded; fewer steps are faster"),
    ]


def grid(numbers: list[float]) -> tuple[Decimal, Decimal, Decimal]:
    """Return minimum, maximum and step of a grid around numbers: the finest of 1, 2 and 5 that has not too many values.

    Args:
        numbers: Different labels, two or more, ascending.
    """
    least, most = (Decimal(str(number)) for number in (numbers[0], numbers[-1]))
    is_whole = all(number.is_integer() for number in numbers)
    steps = [step for step in _STEPS if step >= (1 if is_whole else Decimal("0.01"))]
    step = next((step for step in steps if (most - least) / step <= _MOST_VALUES), steps[-1])
    low = (least / step).to_integral_value(ROUND_FLOOR) * step
    high = (most / step).to_integral_value(ROUND_CEILING) * step
    return low, high, step


def _plain(number: Decimal) -> float | int:
    return int(number) if number == number.to_integral_value() else float(number)
