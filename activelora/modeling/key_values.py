"""The key-value cache in a model's call: transformers 5.24 takes it under another name than 5.23."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

_NEW, _OLD = "cache", "past_key_values"


def cache_name(model: nn.Module) -> str:
    """Return the keyword under which a model or decoder takes its key-value cache."""
    return _NEW if _NEW in inspect.signature(model.forward).parameters else _OLD


def cache_among(keywords: Mapping[str, Any]) -> Any:
    """Return the key-value cache among the keywords of a call, or None."""
    return keywords.get(_NEW, keywords.get(_OLD))
