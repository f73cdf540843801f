"""Names of parts in a campaign file that nothing has, or whose package is broken: all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from activelora.acquisition.registry import STRATEGIES, chosen_measures, strategies_of
from activelora.config import CampaignConfig
from activelora.errors import ConfigError, ProblemsError
from activelora.kinds.registry import KINDS
from activelora.labeling.registry import SOURCES
from activelora.modeling.methods.registry import METHODS
from activelora.registry import Registry
from activelora.uncertainty.measures import check_measure

NAMED: Mapping[str, Registry[Any]] = {
    "task.kind": KINDS,
    "adapter.method": METHODS,
    "acquisition.strategy": STRATEGIES,
    "labeling.source": SOURCES,
}
"""Settings that name a part, and the parts."""


def wrong_names(config: CampaignConfig) -> dict[str, ConfigError]:
    """Return what is wrong with the names of parts and measures, by the settings that hold them.

    Args:
        config: The campaign's settings.
    """
    wrong: dict[str, ConfigError] = {}
    for key, registry in NAMED.items():
        try:
            registry.find(name_at(config, key))
        except ConfigError as error:
            wrong[key] = error
    chosen = {"acquisition.measure": config.acquisition.measure}
    if "acquisition.strategy" not in wrong:
        try:
            for strategy in strategies_of(config.acquisition):
                chosen |= chosen_measures(strategy, config.acquisition)
        except ProblemsError:
            pass  # of its own section, which is checked apart
        except ConfigError as error:
            wrong[error.key or error.where] = error
    offered = () if "task.kind" in wrong else KINDS[config.task.kind].measures
    for key, name in chosen.items():
        try:
            check_measure(name, key, offered)
        except ConfigError as error:
            wrong[key] = error
    return wrong


def name_at(config: CampaignConfig, key: str) -> str:
    """Return the name that a setting of :data:`NAMED` holds."""
    section, _, setting = key.partition(".")
    return str(getattr(getattr(config, section), setting))


def renamed(config: CampaignConfig, names: Mapping[str, str]) -> CampaignConfig:
    """Return the settings with other names of parts.

    Args:
        config: The campaign's settings.
        names: A name for each of some settings of :data:`NAMED`.
    """
    for key, name in names.items():
        section, _, setting = key.partition(".")
        config = config.model_copy(update={section: getattr(config, section).model_copy(update={setting: name})})
    return config
