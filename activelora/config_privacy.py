"""What of an item annotators do not get: the rules for `labeling.withhold` and `labeling.redact`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from activelora.config_task import TaskConfig
from activelora.errors import ConfigError
from activelora.tasks.prompt import Template

_OWN_PLACES = ("label", "labels", "choices")


def check_patterns(patterns: Sequence[str]) -> None:
    """Refuse what is no regular expression, or matches everywhere.

    Raises:
        ValueError: One is.
    """
    for pattern in patterns:
        try:
            matches_nothing = re.compile(pattern).search("")
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"{pattern[:60]!r} is no regular expression: {error}") from None
        if matches_nothing:
            raise ValueError(f"{pattern[:60]!r} matches the empty text, which is everywhere")


def problems(withhold: Sequence[str], redact: Sequence[str], task: TaskConfig) -> Iterator[tuple[str, str, str]]:
    """Yield what cannot be: the setting, the problem, the remedy.

    Args:
        withhold: The setting.
        redact: The setting.
        task: What is asked.
    """
    try:
        fields = [place for place in Template.parse(task.prompt).places if place not in _OWN_PLACES]
    except ConfigError:
        return  # the prompt's own problem
    for name in withhold:
        if name not in fields and name != "source_id":
            yield "withhold", f"the prompt names no field `{name}`", f"It has: {', '.join(fields)}, source_id."
    if fields and set(fields) <= set(withhold):
        yield "withhold", "nothing of an item is left for annotators to see", "Leave a field out of it."
    if redact and task.kind == "multiple_choice":
        remedy = "Redact the data before, or leave it out."
        yield "redact", "an item's choices are texts too, and are not redacted", remedy
