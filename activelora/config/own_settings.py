"""Settings of a strategy's or an adapter method's own: a type that the part declares, and a section of its name."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import ValidationError

from activelora.config.messages import explain
from activelora.config.section import OpenSection, Section
from activelora.errors import ProblemsError
from activelora.registry import call


class Configurable(Protocol):
    """A part that may have settings of its own."""

    @property
    def name(self) -> str:
        """As written in the campaign file: also the name of its section."""

    @property
    def settings(self) -> type[Section] | None:
        """The type of its section; None if it has none."""


def check_declared(part: Configurable, *keys: str) -> None:
    """Refuse a part whose settings are no section with defaults, or that names settings which it does not have.

    Args:
        part: A strategy or an adapter method.
        keys: Settings of its own that it names.

    Raises:
        TypeError: Its settings are not a type of section.
        ValueError: It has no such setting, or one without a default.
    """
    kind = part.settings
    if kind is not None and not (isinstance(kind, type) and issubclass(kind, Section)):
        raise TypeError(f"settings of `{part.name}` must be a subclass of activelora.config.Section, not {kind!r}")
    for key, field in ({} if kind is None else kind.model_fields).items():
        if field.is_required():
            raise ValueError(f"setting `{key}` of `{part.name}` has no default")
    if unknown := set(keys) - (set() if kind is None else set(kind.model_fields)):
        raise ValueError(f"`{part.name}` has no setting `{min(unknown)}` of its own")


def settings_of(part: Configurable, section: OpenSection, *, key: str, where: str = "the settings") -> Any:
    """Return a part's own settings, of the type that it declares, with its defaults; None if it declares none.

    Args:
        part: A strategy or an adapter method.
        section: The section of the campaign that holds the part's one: ``acquisition`` or ``adapter``.
        key: That section's name.
        where: The file or URI that they came from, for messages.

    Raises:
        ProblemsError: The campaign's settings for it are not what the part declares. Of another package's part that
            may come out late, where the package is another version than the one that the file was checked with.
    """
    if part.settings is None:
        return None
    is_known = part.name in type(section).model_fields
    given = getattr(section, part.name) if is_known else own_sections(section).get(part.name, {})
    if isinstance(given, part.settings):
        return given
    return call(part, "settings", _validated, part, part.settings, given, key, where)


def _validated(part: Configurable, settings: type[Section], given: Any, key: str, where: str) -> Section:
    try:
        return settings.model_validate(given)
    except ValidationError as error:
        raise ProblemsError([*explain(error, where, model=settings, section=(key, part.name))]) from None


def own_sections(section: OpenSection) -> dict[str, dict[str, Any]]:
    """Return the sections that the schema does not know, by the names of the parts that they are for."""
    return section.model_extra or {}
