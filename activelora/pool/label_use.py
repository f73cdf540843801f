"""How a source's gold labels are used, and which column holds what is known before anybody is asked."""

from __future__ import annotations

from typing import Literal

from activelora.config import CampaignConfig, SourceConfig
from activelora.pool.content import LabelUse

SourceName = Literal["pool", "holdout"]


def label_use(config: CampaignConfig, name: SourceName) -> LabelUse:
    """Return how a source's gold labels are used.

    The oracle needs a label of every pool item, and rows without are left out. Another label source reads the pool's
    labels to draw a holdout from the items that have one, or because they are known labels; else it never looks at
    them.
    """
    if name == "holdout":
        return "required"
    if config.labeling.source == "oracle":
        return "or_left_out"
    is_known = config.known_labels_column is not None and config.known_labels_column == config.data.columns.label
    return "optional" if config.data.holdout is None or is_known else "ignored"


def source_of(config: CampaignConfig, name: SourceName) -> SourceConfig:
    """Return what the campaign file says of a source."""
    source = config.data.pool if name == "pool" else config.data.holdout
    assert source is not None, "callers ask for the holdout's source only where one is given"  # noqa: S101
    return source


def with_known_column(config: CampaignConfig) -> CampaignConfig | None:
    """Return the settings with the known labels' own column as that of labels; None where they have none to train on.

    Args:
        config: The campaign's settings.
    """
    column = config.known_labels_column
    if config.known_labels != "train" or column is None or column == config.data.columns.label:
        return None
    columns = config.data.columns.model_copy(update={"label": column})
    return config.model_copy(update={"data": config.data.model_copy(update={"columns": columns})})
