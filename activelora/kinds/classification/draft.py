"""A classification task out of a table."""

from __future__ import annotations

from activelora.errors import DataError
from activelora.pool.label_table import MAX_CLASSES, MAX_LISTED, Line, Table, counted, one_spelling


def fits(table: Table) -> str | None:
    """Return why the label column names classes, or None."""
    if not table.has_classes or len(_names(table)) < 2:
        return None
    if table.label.is_lists:
        return f"`{table.label.name}` holds lists of one label each"
    return f"`{table.label.name}` holds {len(_names(table))} labels that come again and again"


def lines(table: Table) -> list[Line]:
    """Return the settings.

    Raises:
        DataError: There are too few or too many different values.
    """
    names = _names(table)
    if not 2 <= len(names) <= MAX_CLASSES:
        num = len(names) or f"more than {MAX_CLASSES}"
        raise DataError(
            f"the label column `{table.label.name}` holds {num} different values, expected 2 to {MAX_CLASSES}"
        )
    listed = " ({labels})" if len(names) <= MAX_LISTED else ""
    answers = {name: name.replace("_", " ").strip() for name in names if "_" in name.strip("_")}
    found = [
        Line("prompt", f"{table.shown}{table.asked}{listed}:", "the question as the model sees it: say it better"),
        Line("labels", names, f"rows with each: {counted(table.label, names)}"),
    ]
    if answers and len({answers.get(name, name).casefold() for name in names}) == len(names):
        found.append(Line("answer_words", answers, "what the model says for labels that are no plain language"))
    spoken = [answers.get(name, name) for name in names]
    if table.begin_differently is not None and table.begin_differently(spoken):
        return [*found, Line("answer", "words", "each label begins with another token of the model")]
    why = "labels are told apart by as many tokens as it takes"
    return [*found, Line("answer", "text", f"{why}; `words` where each begins with another token")]


def _names(table: Table) -> list[str]:
    return one_spelling((table.label.parts if table.label.is_lists else table.label.values) or {})
