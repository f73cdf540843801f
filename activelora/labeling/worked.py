"""What answers that went through a labelling tool are known by: the campaign's columns, labels and items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from activelora.config import CampaignConfig
from activelora.errors import DataError
from activelora.formats.exports.export import Asked
from activelora.kinds.registry import make_task
from activelora.pool.content import as_text, item_id

TASK_NAME = "activelora_id"
"""What tasks that this project has made in Label Studio carry: campaign, round and item."""


@dataclass(frozen=True)
class Known:
    """What is known of the campaign where its answers are read.

    Attributes:
        asked: What is looked for in an export.
        columns: The prompt's columns, where they alone make an item; none elsewhere.
    """

    asked: Asked = field(default_factory=lambda: Asked(frozenset(), ("label",)))
    columns: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: CampaignConfig) -> Known:
        """Return what is known of a campaign."""
        task = make_task(config.task)
        labels = dict.fromkeys(name for name in ("label", config.data.columns.label) if name)
        asked = Asked(
            frozenset({"item_id", *task.columns}), tuple(labels), frozenset(task.label_names), task.kind.takes_several
        )
        return cls(asked, () if task.kind.needs_choices else tuple(task.columns))

    def item_id(self, values: Mapping[str, Any]) -> str | None:
        """Return which item an export speaks of: by its id, by the task's name, or by the same content."""
        given = values.get("item_id")
        if isinstance(given, str) and given.strip():
            return given
        name = values.get(TASK_NAME)
        if isinstance(name, str) and name.count("/") >= 2:
            return name.rpartition("/")[2]
        if not self.columns or any(values.get(column) is None for column in self.columns):
            return None
        try:
            return item_id({column: as_text(values[column], column, "") for column in self.columns}, ())
        except DataError:
            return None
