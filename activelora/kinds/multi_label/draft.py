"""A multi-label task out of a table."""

from __future__ import annotations

from activelora.errors import DataError
from activelora.kinds.multi_label.kind import MAX_LABELS
from activelora.pool.label_table import Line, Table, counted, one_spelling

_LEAST_SHARE = 0.05
_MAX_PART_CHARS = 60


def fits(table: Table) -> str | None:
    """Return why the labels are sets, or None."""
    label = table.label
    names = _names(table)
    if not names or len(names) > MAX_LABELS or max(map(len, names)) > _MAX_PART_CHARS:
        return None
    if label.is_lists and (label.num_several or label.num_json):
        return f"`{label.name}` holds lists of labels"
    comes_again = len(names) <= sum((label.parts or {}).values()) / 2
    if label.num_several < max(2, _LEAST_SHARE * label.num_filled) or not comes_again:
        return None
    return f"{label.num_several} cells of `{label.name}` hold several labels, with | or ; between them"


def lines(table: Table) -> list[Line]:
    """Return the settings.

    Raises:
        DataError: There are too few or too many labels.
    """
    names = _names(table)
    if not 1 <= len(names) <= MAX_LABELS:
        problem = f"the label column `{table.label.name}` holds {len(names)} labels, expected 1 to {MAX_LABELS}"
        raise DataError(problem, remedy="Leave rare ones out, or put some together.")
    why = "asked once for every label, {label}: what comes before it is run once for all of them"
    return [
        Line("prompt", f"{table.shown}Does {{label}} apply? Answer yes or no:", why),
        Line("labels", names, f"rows with each: {counted(table.label, names)}"),
    ]


def _names(table: Table) -> list[str]:
    return [name for name in one_spelling(table.label.parts or {}) if name.casefold() != "none" and name[:1] != "["]
