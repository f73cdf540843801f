"""The rare label that a campaign searches for: it must be one of the task's, which all items share."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.acquisition import rare_class
from activelora.acquisition.registry import strategy_keys
from activelora.config import CampaignConfig
from activelora.config.conflict import Conflict
from activelora.errors import ConfigError
from activelora.kinds.registry import get_kind
from activelora.registry import call
from activelora.tasks.task import LABELS_OR_NONE


def rare_label(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield a search for a rare label where there is no such label, or no label that items share."""
    try:
        searching = [key for key, one in strategy_keys(config.acquisition).items() if one is rare_class.STRATEGY]
    except ConfigError:  # a wrong name, which `check` refuses
        return
    if not searching:
        return
    kind, label = get_kind(config.task.kind), config.acquisition.rare_class.label
    labels = call(kind, "fixed_labels", kind.fixed_labels, config.task, gives=LABELS_OR_NONE)
    if labels is None:
        problem = f"`rare_class` searches for a label, and a {kind.name} task has none that its items share"
        yield Conflict(searching[0], problem, "Choose a strategy such as `star` or `core_set`.")
    elif label is not None and label not in labels:
        yield Conflict(
            "acquisition.rare_class.label",
            f"the task has no label `{label}`",
            f"Write one of: {', '.join(labels)}.",
        )
