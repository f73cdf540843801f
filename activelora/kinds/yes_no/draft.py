"""A yes/no task out of a table."""

from __future__ import annotations

from activelora.pool.label_table import Line, Table

_WRITTEN = ({"yes", "y", "true", "1"}, {"no", "n", "false", "0"})


def fits(table: Table) -> str | None:
    """Return why the labels are yes and no, or None."""
    values = {value.strip().casefold() for value in table.label.values or ()} - {"-1"}
    if not values or any(value not in _WRITTEN[0] | _WRITTEN[1] for value in values):
        return None
    shown = ", ".join(sorted(values))
    meaning = "; 1 is yes and 0 is no" if values & {"0", "1"} else ""
    return f"`{table.label.name}` holds nothing but {shown}{meaning}"


def lines(table: Table) -> list[Line]:
    """Return the settings."""
    prompt = f"{table.shown}{table.asked}? Answer yes or no:"
    return [Line("prompt", prompt, "the question as the model sees it: say it as a question that yes answers")]
