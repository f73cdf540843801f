"""The query strategies by name. Other packages add theirs as entry points of the group ``activelora.strategies``."""

from __future__ import annotations

from activelora.acquisition import (
    badge,
    bald,
    batch_bald,
    cal,
    cluster_margin,
    consensus_kl,
    core_set,
    density_weighted,
    discriminative,
    entropy,
    expected_entropy,
    expected_gradient_length,
    hybrid,
    least_confidence,
    margin,
    probcover,
    random,
    star,
    stratified_random,
    typiclust,
    variance,
    variation_ratio,
    vote_entropy,
)
from activelora.acquisition.strategy import Strategy
from activelora.config import AcquisitionConfig
from activelora.errors import ConfigError
from activelora.registry import Registry, unknown_name
from activelora.uncertainty.measures import check_measure

_MODULES = (
    random,
    stratified_random,
    least_confidence,
    margin,
    entropy,
    expected_entropy,
    bald,
    variation_ratio,
    variance,
    vote_entropy,
    consensus_kl,
    expected_gradient_length,
    batch_bald,
    core_set,
    badge,
    cal,
    discriminative,
    cluster_margin,
    typiclust,
    probcover,
    density_weighted,
    hybrid,
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


def strategies_of(config: AcquisitionConfig) -> tuple[Strategy, ...]:
    """Return the campaign's strategy and, for `hybrid`, the one that it hands over to.

    Raises:
        ConfigError: There is none of that name, one cannot follow a pre-filter, or there is a floor for every
            predicted class and no predictions.
    """
    strategy = get_strategy(config.strategy)
    if config.per_class_floor and not strategy.needs_scores:
        raise ConfigError(
            f"`{strategy.name}` asks for no predictions, so there are no predicted classes to give a floor to",
            where="acquisition.per_class_floor",
            remedy="Leave it out, or choose `stratified_random`.",
        )
    if "then" not in strategy.options:
        return (strategy,)
    if config.then not in STRATEGIES:
        raise unknown_name("acquisition.then", config.then, list(STRATEGIES))
    follower = get_strategy(config.then)
    if "then" in follower.options:
        raise ConfigError(
            f"`{follower.name}` cannot come after a pre-filter: it has one itself",
            where="acquisition.then",
            remedy="Choose a strategy such as `core_set` or `badge`.",
        )
    return (strategy, follower)


def needs_of(config: AcquisitionConfig) -> frozenset[str]:
    """Return what score_pool must keep besides the measures: see :attr:`Strategy.needs`.

    Raises:
        ConfigError: As :func:`strategies_of`.
    """
    return frozenset[str]().union(*(strategy.needs for strategy in strategies_of(config)))


def check_measures(config: AcquisitionConfig) -> None:
    """Refuse a measure that does not exist and that one of the campaign's strategies would read.

    Raises:
        ConfigError: There is none of that name; the setting and the nearest name are named.
    """
    options = {option for strategy in strategies_of(config) for option in strategy.options}
    for option, name in {"measure": config.measure, "prefilter": config.prefilter}.items():
        if option in options:
            check_measure(name, f"acquisition.{option}")
