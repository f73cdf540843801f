"""The query strategies by name. Other packages add theirs as entry points of the group ``activelora.strategies``."""

from __future__ import annotations

from activelora.acquisition import (
    badge,
    bald,
    batch_bald,
    consensus_kl,
    core_set,
    density_weighted,
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
from activelora.config import AcquisitionConfig
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
    batch_bald,
    core_set,
    badge,
    density_weighted,
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


def needs_of(config: AcquisitionConfig) -> frozenset[str]:
    """Return what score_pool must keep besides the measures: see :attr:`Strategy.needs`.

    Raises:
        ConfigError: There is no such strategy.
    """
    return get_strategy(config.strategy).needs
