"""Which kind of task a table is for, by what its label column holds."""

from __future__ import annotations

from collections.abc import Callable

from activelora.errors import ConfigError, DataError
from activelora.kinds.classification import draft as classification
from activelora.kinds.generation import draft as generation
from activelora.kinds.multi_label import draft as multi_label
from activelora.kinds.multiple_choice import draft as multiple_choice
from activelora.kinds.regression import draft as regression
from activelora.kinds.yes_no import draft as yes_no
from activelora.pool.label_table import Draft, Line, Table

_Fits = Callable[[Table], str | None]
_Lines = Callable[[Table], list[Line]]
_DRAFTS: dict[str, tuple[_Fits, _Lines]] = {
    "multiple_choice": (multiple_choice.fits, multiple_choice.lines),
    "multi_label": (multi_label.fits, multi_label.lines),
    "yes_no": (yes_no.fits, yes_no.lines),
    "regression": (regression.fits, regression.lines),
    "classification": (classification.fits, classification.lines),
    "generation": (generation.fits, generation.lines),
}
"""Kind to why a table is for it (None: it is not), and what it makes of it; the first that fits is taken."""


def draft_of(table: Table, kind: str | None = None) -> Draft:
    """Return what a campaign for a table would ask.

    Args:
        table: What is known of the table.
        kind: The kind of task, if somebody says it; None goes by the label column.

    Raises:
        ConfigError: There is no such kind that can be drafted.
        DataError: The label column is nothing for the kind, or for any.
    """
    if not table.label.num_filled:
        remedy = "Label some rows in it, drawn at random: 10 or more, and 100 for a fair measurement."
        raise DataError(f"the label column `{table.label.name}` is empty", remedy=remedy)
    if kind is not None:
        name = kind.replace("-", "_")
        if name not in _DRAFTS:
            remedy = f"There are: {', '.join(sorted(_DRAFTS))}."
            raise ConfigError(f"{kind!r} is no kind that can be told from a table", where="--kind", remedy=remedy)
        return Draft(name, "as --kind says", tuple(_DRAFTS[name][1](table)))
    for name, (fits, lines) in _DRAFTS.items():
        if reason := fits(table):
            return Draft(name, reason, tuple(lines(table)))
    raise DataError(
        f"the label column `{table.label.name}` holds one value only: {next(iter(table.label.values or ['?']))[:60]!r}",
        remedy="At least two different labels are needed: label some rows of another kind, or name another column.",
    )
