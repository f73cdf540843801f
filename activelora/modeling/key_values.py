"""The key-value cache in a model's call: transformers 5.24 takes it under another name than 5.23."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

_NEW, _OLD = "cache", "past_key_values"


def cache_name(model: nn.Module) -> str:
    """Return the keyword under which a model or decoder takes its key-value cache."""
    return _NEW if _NEW in inspect.signature(model.forward).parameters else _OLD


def cache_among(keywords: Mapping[str, Any]) -> Any:
    """Return the key-value cache among the keywords of a call, or None."""
    return keywords.get(_NEW, keywords.get(_OLD))


def new_cache(model: Any) -> DynamicCache:
    """Return an empty cache for a model or decoder.

    What windows of attention leave out stays in it: masks see to that. Layers that keep something else than keys and
    values, such as a recurrent state, are known from the model's configuration.
    """
    made = DynamicCache(config=model.config)
    usual = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in made.layers)
    return DynamicCache() if usual else made


def expand_cache(cache: DynamicCache, batch_size: int) -> DynamicCache:
    """Return a cache in which every sequence of a batch has the same prefix, that of a cache of one sequence."""
    if any(type(layer) is not DynamicLayer for layer in cache.layers):
        expanded = copy.deepcopy(cache)
        expanded.reorder_cache(torch.zeros(batch_size, dtype=torch.long))
        return expanded
    return DynamicCache(
        ddp_cache_data=[
            (layer.keys.expand(batch_size, -1, -1, -1), layer.values.expand(batch_size, -1, -1, -1))
            for layer in cache.layers
            if layer.keys is not None
        ]
    )
