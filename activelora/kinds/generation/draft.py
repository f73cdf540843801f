"""A generation task out of a table."""

from __future__ import annotations

import math

from activelora.pool.label_table import Line, Table

_CHARS_PER_TOKEN = 3
"""Few, so that answers are rarely cut."""


def fits(table: Table) -> str | None:
    """Return why the labels are texts to be written, or None."""
    label = table.label
    if label.num_values < 2 or label.is_lists:
        return None
    return f"`{label.name}` holds texts of their own ({label.mean_chars:.0f} characters on average)"


def lines(table: Table) -> list[Line]:
    """Return the settings."""
    longest = max(map(len, table.label.values or ()), default=0)
    tokens = min(512, max(16, 2 ** math.ceil(math.log2(max(1, longest / _CHARS_PER_TOKEN)))))
    return [
        Line("prompt", f"{table.shown}{table.asked}:", "the question as the model sees it"),
        Line("max_answer_tokens", tokens, "the model's own answer is cut here"),
    ]
