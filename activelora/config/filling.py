"""Settings that follow from others, where a campaign file does not say them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from activelora.config.section import Section


def filled(document: Mapping[str, Any], section: str, name: str, value: object) -> Mapping[str, Any]:
    """Return a campaign's document with a setting, if it says none; what is no section of settings stays as it is.

    Args:
        document: The campaign's document.
        section: The section's name.
        name: The setting's name in it.
        value: The setting's value.
    """
    found = document.get(section, {})
    if isinstance(found, Mapping) and name not in found:
        return {**document, section: {**found, name: value}}
    if isinstance(found, Section) and name not in found.model_fields_set:
        return {**document, section: found.model_copy(update={name: value})}
    return document
