"""Which settings go with which adapter method."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.config import AdapterConfig, CampaignConfig
from activelora.config_rules import Conflict


def needs_dropout(config: AdapterConfig) -> Conflict | None:
    """Return why Monte-Carlo dropout samples cannot differ, or None."""
    if config.dropout > 0:
        return None
    return Conflict("adapter.dropout", "without dropout all samples are the same", "Set it above 0 (0.1 is usual)")


def weight_samples(config: CampaignConfig) -> Iterator[Conflict]:
    """Refuse a fresh dropout mask for every token where samples are no dropout masks."""
    if config.scoring.mask == "token":
        yield Conflict(
            "scoring.mask",
            f"`token` masks belong to adapter.method `lora`, and it is `{config.adapter.method}`",
            "Leave it out.",
        )
