"""The `reporting` section of a campaign file: what the report tells beside what was measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from activelora.config.section import Section

Price = Annotated[float, Field(ge=0.0)]


class PricesConfig(Section):
    """What labels and computing cost. Without a price the report counts them and says no sum."""

    label: Price | None = None
    """The price of one answer of one annotator, in `currency`."""
    computing_hour: Price | None = None
    """The price of an hour of a step's computing, in `currency`."""
    currency: Annotated[str, Field(min_length=1, max_length=12)] = "EUR"
    """The currency of the prices, as the report writes it."""


class ReportingConfig(Section):
    """What the report tells of the campaign's surroundings. It may be changed while the campaign runs."""

    owner: Annotated[str, Field(max_length=200)] | None = None
    """Who answers for the campaign: a person or a team. None leaves it out."""
    prices: PricesConfig = PricesConfig()
    """Prices."""
