"""Settings about labels that the pool brings, which are each allowed, but not together."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.config import CampaignConfig
from activelora.config.conflict import Conflict


def known_labels(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield a use of known labels that the label source or the holdout leaves no room for."""
    data, simulates = config.data, config.labeling.source == "oracle"
    key, use, column = "data.known_labels", config.known_labels, data.known_labels_column
    if column is not None and use != "train":
        yield Conflict(
            "data.known_labels_column",
            f"it belongs to known labels that are trained on, and here the use of known labels is `{use}`",
            "Set data.known_labels: train, or leave it out.",
        )
    if use == "ignore":
        return
    if simulates and use == "holdout":
        yield Conflict(
            key,
            "every item of the pool has the label that the `oracle` answers with, so all would be held out",
            "Leave it out: data.holdout_size draws a holdout from them.",
        )
    elif simulates and column in (None, data.columns.label):
        yield Conflict(
            key,
            "the `oracle` answers with the label column, so that what is known must stand in another one",
            "Name it in data.known_labels_column, or leave data.known_labels out.",
        )
    elif use == "holdout" and data.holdout is not None:
        yield Conflict(
            key,
            "`holdout` makes the pool's known labels the holdout, and data.holdout names another one",
            "Leave one of the two out; with data.holdout, known labels can be trained on (train).",
        )
    elif data.known_labels is not None and config.known_labels_column is None:
        yield Conflict(key, "no column is named that has them", "Name it in data.columns.label.")
