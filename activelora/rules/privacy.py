"""What of an item annotators do not get: the rules for `labeling.withhold` and `labeling.redact`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from activelora.config.conflict import Conflict
from activelora.errors import ConfigError
from activelora.kinds.registry import get_kind
from activelora.tasks.prompt import Template

if TYPE_CHECKING:
    from activelora.config import CampaignConfig

_OWN_FIELDS = ("label", "labels", "choices")


def privacy(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield what cannot be withheld or redacted."""
    labeling, task = config.labeling, config.task
    try:
        fields = [name for name in Template.parse(task.prompt).fields if name not in _OWN_FIELDS]
    except ConfigError:
        return  # the prompt's own problem
    for name in labeling.withhold:
        if name not in fields and name != "source_id":
            remedy = f"It has: {', '.join(fields)}, source_id."
            yield Conflict("labeling.withhold", f"the prompt names no field `{name}`", remedy)
    if fields and set(fields) <= set(labeling.withhold):
        problem = "nothing of an item is left for annotators to see"
        yield Conflict("labeling.withhold", problem, "Leave a field out of it.")
    if labeling.redact and get_kind(task.kind).needs_choices:
        problem = "an item's choices are texts too, and are not redacted"
        yield Conflict("labeling.redact", problem, "Redact the data before, or leave it out.")
