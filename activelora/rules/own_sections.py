"""Sections of other packages' strategies and adapter methods: checked, and filled in, where a file is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import Field, create_model

from activelora.acquisition.registry import STRATEGIES, strategies_of
from activelora.acquisition.strategy import Strategy
from activelora.config import AcquisitionConfig, AdapterConfig, CampaignConfig, Section
from activelora.config.messages import nearest
from activelora.config.own_settings import Configurable, own_sections, settings_of
from activelora.config.section import OpenSection
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError
from activelora.modeling.methods.registry import METHODS
from activelora.modeling.posterior import AdapterMethod
from activelora.registry import Registry

Open = TypeVar("Open", bound=OpenSection)

PARTS: dict[str, Registry[Strategy] | Registry[AdapterMethod]] = {"acquisition": STRATEGIES, "adapter": METHODS}
"""Sections of the campaign file that hold sections of parts, and the parts."""


def with_own_sections(config: CampaignConfig, *, where: str) -> CampaignConfig:
    """Return the settings with other packages' sections checked, and with all of those that the campaign reads.

    What a part leaves at its default is frozen with the campaign too: a later version of its package changes nothing.

    Args:
        config: Settings that are about to be frozen.
        where: The file that they came from, for messages.

    Raises:
        ProblemsError: Every problem of those sections.
    """
    problems: list[ActiveLoRAError] = []
    update = {}
    for key in PARTS:
        try:
            update[key] = _completed(key, config, where)
        except ProblemsError as error:
            problems += error.problems
    if problems:
        raise ProblemsError(problems)
    return config.model_copy(update={key: section for key, section in update.items() if section is not None})


def as_far_as_known(config: CampaignConfig, wrong: Iterable[str]) -> CampaignConfig:
    """Return the settings without those of other packages' sections that are wrong, to look for more problems.

    Args:
        config: Settings that :func:`with_own_sections` refuses.
        wrong: Keys that it names.
    """
    for key in wrong:
        first, name, setting = [*key.split("."), "", ""][:3]
        section: OpenSection | None = getattr(config, first, None) if first in PARTS else None
        if section is not None and name in own_sections(section):
            own = {one: value for one, value in own_sections(section)[name].items() if one != setting}
            config = config.model_copy(update={first: section.model_copy(update={name: own})})
    return config


def full_schema() -> type[CampaignConfig]:
    """Return the schema with the sections of all that is installed here."""
    sections = {
        "acquisition": _with_fields(AcquisitionConfig, STRATEGIES.loadable()[0]),
        "adapter": _with_fields(AdapterConfig, METHODS.loadable()[0]),
    }
    described = CampaignConfig.model_fields
    fields: dict[str, Any] = {
        key: (section, Field(section(), description=described[key].description)) for key, section in sections.items()
    }
    return create_model("CampaignConfig", __base__=CampaignConfig, __doc__=CampaignConfig.__doc__, **fields)


def _with_fields(model: type[Open], parts: Mapping[str, Configurable]) -> type[Open]:
    """Return a section with a field for each part that brings settings, and closed to other sections."""
    own: dict[str, Any] = {
        name: (part.settings | None, Field(None, description=f"Settings of `{name}`."))
        for name, part in parts.items()
        if part.settings is not None and name not in model.model_fields
    }
    closed = create_model(model.__name__, __base__=model, __doc__=model.__doc__, **own)
    closed.model_config["extra"] = "forbid"
    closed.model_rebuild(force=True)
    return closed


def _completed(key: str, config: CampaignConfig, where: str) -> OpenSection | None:
    """Return the section with the sections of its parts; None where it has none of other packages."""
    section: OpenSection = getattr(config, key)
    given = own_sections(section)
    names = dict.fromkeys([*given, *_read(key, config)])
    found: dict[str, dict[str, Any]] = {}
    problems: list[ActiveLoRAError] = []
    for name in names:
        try:
            settings = _settings(key, name, section, where)
        except ProblemsError as error:
            problems += error.problems
        except ConfigError as error:
            problems.append(error)
        else:
            found |= {} if settings is None else {name: settings}
    if problems:
        raise ProblemsError(problems)
    return section.model_copy(update=found) if found else None


def _read(key: str, config: CampaignConfig) -> list[str]:
    """Return the names of the parts that the campaign uses; wrong ones are refused by `check`."""
    if key == "adapter":
        return [config.adapter.method]
    try:
        return [strategy.name for strategy in strategies_of(config.acquisition)]
    except ActiveLoRAError:
        return [config.acquisition.strategy]


def _settings(key: str, name: str, section: OpenSection, where: str) -> dict[str, Any] | None:
    """Return a part's settings as they are frozen; None if it is of this package, or has none."""
    known, registry = type(section).model_fields, PARTS[key]
    is_given = name in own_sections(section)
    if name not in registry:
        if not is_given:
            return None
        remedy = nearest(name, {*known, *registry})
        raise ConfigError(f"`{key}.{name}` is not a setting", where=where, remedy=remedy, key=f"{key}.{name}")
    if not is_given and name in known:
        return None
    part = registry[name]
    if part.settings is None:
        if not is_given:
            return None
        raise ConfigError(
            f"`{key}.{name}` is not a setting: `{name}` has none",
            where=where,
            remedy="Leave it out.",
            key=f"{key}.{name}",
        )
    settings: Section = settings_of(part, section, key=key, where=where)
    return settings.model_dump(mode="json")
