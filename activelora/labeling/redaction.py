"""What annotators see of an item: fields can be withheld from them, and parts of texts made unreadable.

The same for every label source, people and models alike. The campaign itself keeps the whole texts.
"""

from __future__ import annotations

import re
from functools import lru_cache

from activelora.campaign.records import Item
from activelora.config.labeling import LabelingConfig

WITHHELD, REDACTED = "[withheld]", "[redacted]"
SOURCE_ID = "source_id"
"""Names the user's own id in ``labeling.withhold``, beside the fields."""


def shown_fields(config: LabelingConfig, item: Item) -> dict[str, str]:
    """Return field → text, for annotators."""
    return {name: WITHHELD if name in config.withhold else redacted(config, text) for name, text in item.fields.items()}


def shown_source_id(config: LabelingConfig, item: Item) -> str | None:
    """Return the user's own id, for annotators; None where it is withheld."""
    if item.source_id is None or SOURCE_ID in config.withhold:
        return None
    return redacted(config, item.source_id)


def redacted(config: LabelingConfig, text: str) -> str:
    """Return a text without what ``labeling.redact`` matches."""
    for pattern in config.redact:
        text = _compiled(pattern).sub(REDACTED, text)
    return text


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
