"""What all sections of a campaign file have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticKnownError

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
DNS_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
"""What Kubernetes allows as a name, of a namespace for example, and so a campaign's (RFC 1123)."""


class Section(BaseModel):
    """A part of the campaign file: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


def _mapping(value: Any) -> Any:
    if not isinstance(value, dict):
        raise PydanticKnownError("extra_forbidden")
    return value


class OpenSection(Section):
    """A section that also takes the sections of parts that other packages bring, each under the part's name.

    The schema does not know those packages: a section of one is a mapping here, and what it may hold
    :func:`activelora.rules.own_sections.with_own_sections` checks where a file is read.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[dict[str, Any], BeforeValidator(_mapping)]] = Field(init=False)
