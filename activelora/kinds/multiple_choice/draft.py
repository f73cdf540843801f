"""A multiple-choice task out of a table."""

from __future__ import annotations

from activelora.errors import DataError
from activelora.pool.label_table import Line, Table, words_of


def fits(table: Table) -> str | None:
    """Return why items bring their own choices, or None."""
    if table.choices is None or not table.choices.is_lists:
        return None
    return f"`{table.choices.name}` holds a list of choices in every row"


def lines(table: Table) -> list[Line]:
    """Return the settings.

    Raises:
        DataError: There is no column of choices.
    """
    if table.choices is None:
        remedy = "Name it with --choices: lists of texts, in CSV as JSON."
        raise DataError("a multiple-choice task needs a column of choices", remedy=remedy)
    shown = "".join(f"{words_of(column.name)}: {{{column.name}}}\n" for column in table.texts)
    why = "by the likelihood of each choice's text; `letters` suits larger models (then show {choices} in the prompt)"
    return [Line("prompt", f"{shown}Answer:", "the question as the model sees it"), Line("answer", "text", why)]
