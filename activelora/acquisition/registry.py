"""The query strategies by name. Other packages add theirs as entry points of the group ``activelora.strategies``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from activelora.acquisition import (
    badge,
    bald,
    batch_bald,
    cal,
    cluster_margin,
    consensus_kl,
    core_set,
    d_optimal,
    density_weighted,
    discriminative,
    entropy,
    epig,
    expected_entropy,
    expected_gradient_length,
    hybrid,
    least_confidence,
    margin,
    probcover,
    random,
    rare_class,
    star,
    stratified_random,
    typiclust,
    uncertainty,
    variance,
    variation_ratio,
    vote_entropy,
)
from activelora.acquisition.strategy import EMBEDDINGS, FEATURES, GRADIENTS, SAMPLES, Strategy
from activelora.config import AcquisitionConfig
from activelora.config.moved_settings import MOVED_ACQUISITION
from activelora.config.own_settings import settings_of
from activelora.errors import ConfigError
from activelora.registry import Registry, unknown_name, unknown_names
from activelora.tasks.task import Form
from activelora.uncertainty.measures import check_measure, known_measures

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
    epig,
    core_set,
    badge,
    d_optimal,
    cal,
    discriminative,
    cluster_margin,
    typiclust,
    probcover,
    rare_class,
    density_weighted,
    hybrid,
    uncertainty,
    star,
)


def _mistakes(strategy: Strategy) -> Iterator[str]:
    """Yield what another package's strategy declares and nothing knows; what moved since 0.1 is known still."""
    options = {*AcquisitionConfig.model_fields, *MOVED_ACQUISITION}
    yield from unknown_names(strategy, "need", strategy.needs, (SAMPLES, EMBEDDINGS, FEATURES, GRADIENTS))
    yield from unknown_names(strategy, "option", strategy.options, options)
    yield from unknown_names(strategy, "measure", strategy.measures, known_measures())
    yield from unknown_names(strategy, "form", strategy.forms or (), get_args(Form))


STRATEGIES: Registry[Strategy] = Registry(
    key="acquisition.strategy",
    group="activelora.strategies",
    built_in={module.STRATEGY.name: module.STRATEGY for module in _MODULES},
    check=lambda part: isinstance(part, Strategy),
    mistakes=_mistakes,
)


def get_strategy(name: str) -> Strategy:
    """Return the strategy that a campaign file names.

    Raises:
        ConfigError: There is none, with the nearest name; or its package cannot be loaded.
    """
    return STRATEGIES.find(name)


def own_settings(strategy: Strategy, config: AcquisitionConfig) -> Any:
    """Return a strategy's own settings, of the type :attr:`Strategy.settings`; None if it has none.

    Raises:
        ProblemsError: The campaign's settings for it are not what it declares.
    """
    return settings_of(strategy, config, key="acquisition")


def strategies_of(config: AcquisitionConfig) -> tuple[Strategy, ...]:
    """Return the campaign's strategy and, if it hands over to another one, that one.

    Raises:
        ConfigError: There is none of that name, one cannot follow a pre-filter, or there is a floor for every
            predicted class and no predictions.
    """
    strategy = get_strategy(config.strategy)
    if config.per_class_floor and not strategy.needs_scores:
        raise ConfigError(
            f"`{strategy.name}` asks for no predictions, so there are no predicted classes to give a floor to",
            key="acquisition.per_class_floor",
            remedy="Leave it out, or choose `stratified_random`.",
        )
    if strategy.hands_over is None:
        return (strategy,)
    key, name = _own_key(strategy, strategy.hands_over), getattr(own_settings(strategy, config), strategy.hands_over)
    if name not in STRATEGIES:
        raise unknown_name(key, name, STRATEGIES)
    follower = get_strategy(name)
    if follower.hands_over is not None:
        raise ConfigError(
            f"`{follower.name}` cannot come after a pre-filter: it has one itself",
            key=key,
            remedy="Choose a strategy such as `core_set` or `badge`.",
        )
    return (strategy, follower)


def strategy_keys(config: AcquisitionConfig) -> dict[str, Strategy]:
    """Return the strategies of :func:`strategies_of` by the setting that names each.

    Raises:
        ConfigError: The same problems as there.
    """
    first, *followers = strategies_of(config)
    named = {"acquisition.strategy": first}
    return named | {_own_key(first, str(first.hands_over)): follower for follower in followers}


def needs_of(config: AcquisitionConfig) -> frozenset[str]:
    """Return what score_pool must keep besides the measures: see :attr:`Strategy.needs`.

    Raises:
        ConfigError: The same problems as in :func:`strategies_of`.
    """
    return frozenset[str]().union(*(strategy.needs for strategy in strategies_of(config)))


def chosen_measures(strategy: Strategy, config: AcquisitionConfig) -> dict[str, str]:
    """Return the measures that the campaign file chooses for a strategy, by the setting that names each."""
    chosen = {"acquisition.measure": config.measure} if "measure" in strategy.options else {}
    own = own_settings(strategy, config)
    return chosen | {_own_key(strategy, name): getattr(own, name) for name in strategy.measure_settings}


def measures_read(config: AcquisitionConfig) -> frozenset[str]:
    """Return the measures that the campaign's strategies read.

    Raises:
        ConfigError: The same problems as in :func:`strategies_of`.
    """
    strategies = strategies_of(config)
    chosen = {name for strategy in strategies for name in chosen_measures(strategy, config).values()}
    return frozenset(chosen.union(*(strategy.measures for strategy in strategies)))


def check_measures(config: AcquisitionConfig) -> None:
    """Refuse a measure that does not exist and that one of the campaign's strategies would read.

    Raises:
        ConfigError: There is none of that name; the setting and the nearest name are named.
    """
    for strategy in strategies_of(config):
        for key, name in chosen_measures(strategy, config).items():
            check_measure(name, key)


def _own_key(strategy: Strategy, setting: str) -> str:
    return f"acquisition.{strategy.name}.{setting}"
