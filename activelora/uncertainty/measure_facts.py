"""What a measure declares of itself, beside its formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

AnyMeasure = TypeVar("AnyMeasure", bound=Callable[..., Any])


@dataclass(frozen=True)
class MeasureFacts:
    """What follows from a measure's formula.

    Attributes:
        compares_samples: It tells how far the posterior's samples disagree: 0 for every item if they are all the same.
        draws_answers: It compares answers that the samples write, each drawn at random: they differ even where all
            samples are the same.
        lowest: The lower end of its range.
    """

    compares_samples: bool = False
    draws_answers: bool = False
    lowest: float = 0.0


_DECLARED: dict[Callable[..., Any], MeasureFacts] = {}


def declares(facts: MeasureFacts) -> Callable[[AnyMeasure], AnyMeasure]:
    """Return the decorator by which a measure declares what differs from the defaults of :class:`MeasureFacts`."""

    def declare(measure: AnyMeasure) -> AnyMeasure:
        _DECLARED[measure] = facts
        return measure

    return declare


def declared(measure: Callable[..., Any] | None) -> MeasureFacts:
    """Return what a measure has declared, or the defaults."""
    return MeasureFacts() if measure is None else _DECLARED.get(measure, MeasureFacts())


DISAGREEMENT = MeasureFacts(compares_samples=True)
"""Facts of measures of disagreement."""
