"""From rows of any table to the items that a model is asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from activelora.campaign.records import Item
from activelora.config import CampaignConfig
from activelora.errors import ActiveLoRAError
from activelora.formats.problems import Problems
from activelora.formats.row import Row, Wanted, with_inner
from activelora.pool.content import RowParser, wanted_columns
from activelora.tasks.task import Task

USE: Literal["ignored"] = "ignored"
"""Labels that rows carry play no part in predicting."""


class ItemMaker:
    """Turns rows into items as the pool does.

    Args:
        config: The settings.
        task: The task.
    """

    def __init__(self, config: CampaignConfig, task: Task) -> None:
        columns = config.data.columns.model_copy(update={"id": None, "label": None})
        self._problems = _Last()
        cuts = config.data.long_texts == "cut"
        self._parser = RowParser(task, columns, USE, self._problems, cuts_long_texts=cuts)
        self.wanted: Wanted = wanted_columns(task, columns, USE)
        self._dotted = tuple(name for name in self.wanted.names if "." in name)

    def items(self, rows: Sequence[Row | Mapping[str, Any]]) -> list[Item | ActiveLoRAError]:
        """Return an item for each row, or why it is none."""
        return [self._item(row, number) for number, row in enumerate(rows, 1)]

    def _item(self, given: Row | Mapping[str, Any], number: int) -> Item | ActiveLoRAError:
        row = given if isinstance(given, Row) else Row(dict(given), "row", number)
        if self._dotted:
            row = Row(with_inner(row.values, self._dotted), row.file, row.line)
        self._problems.last = None
        parsed = self._parser.parse(row)
        if parsed is not None:
            return parsed[0]
        if self._problems.last is None:
            raise RuntimeError("a row that is no item has a problem")
        return self._problems.last

    @property
    def notes(self) -> tuple[str, ...]:
        """What was read in a way that somebody should know of."""
        return self._problems.notes


def refuse_problems(items: Sequence[Item | ActiveLoRAError]) -> list[Item]:
    """Return the items.

    Raises:
        ProblemsError: Some rows are none; the first of them are named.
    """
    problems = Problems()
    for item in items:
        if not isinstance(item, Item):
            problems.add(item)
    problems.refuse()
    return [item for item in items if isinstance(item, Item)]


class _Last(Problems):
    """Remembers the last problem only."""

    def __init__(self) -> None:
        super().__init__()
        self.last: ActiveLoRAError | None = None

    def add(self, error: ActiveLoRAError) -> None:
        self.last = error
