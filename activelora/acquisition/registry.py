"""The query strategies by name. Other packages add theirs as entry points of the group ``activelora.strategies``."""

from __future__ import annotations

from activelora.acquisition import (
    bald,
    consensus_kl,
    entropy,
    expected_entropy,
    least_confidence,
    margin,
    random,
    star,
    variation_ratio,
    vote_entropy,
)
from activelora.acquisition.strategy import Strategy
from activelora.registry import Registry

_MODULES = (
    random,
    least_confidence,
    margin,
    entropy,
    expected_entropy,
    bald,
    variation_ratio,
    vote_entropy,
    consensus_kl,
    star,
)

STRATEGIES: Registry[Strategy] = Registry(
    key="acquisition.strategy",
    group="activelora.strategies",
    built_in={module.STRATEGY.name: module.STRATEGY for module in _MODULES},
    check=lambda part: isinstance(part, Strategy),
)


def get_strategy(name: str) -> Strategy:
    """Return the strategy that a campaign file names.

    Raises:
        ConfigError: There is none, with the nearest name; or its package cannot be loaded.
    """
    return STRATEGIES.find(name)
