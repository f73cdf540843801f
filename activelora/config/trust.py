"""The sections `evaluation.conformal` and `evaluation.abstention` of a campaign file: which answers to trust.

And the number of posterior samples that an evaluation averages where a file does not say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from activelora.config.filling import filled
from activelora.config.section import NonNegative, Section

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
POSTERIOR_SAMPLES: Mapping[str, int] = {"blob": 10, "c_lora": 10, "laplace": 32, "tfb": 10}
"""Adapter method → samples whose mean is evaluated by default. An ensemble's mean of its members needs none, and
Laplace's samples cost next to nothing once its slopes are there."""


class ConformalConfig(Section):
    """Prediction sets: the labels among which the right one is, with a stated probability.

    They come from half of the calibration split, which needs at least 1/alpha - 1 rows for it.
    """

    method: Literal["lac", "aps", "raps", "none"] = "lac"
    """`lac`: the smallest sets on average. `aps` and `raps`: sets that grow with an item's difficulty, larger on
    average; `raps` against long tails of labels. `none` leaves sets out. Numbers have intervals, and label sets one
    threshold, with each of the three."""
    alpha: Share = 0.1
    """The share of items whose set may lack the right label: 0.1 covers 90 %. Smaller makes larger sets, and needs
    more calibration rows."""
    class_conditional: bool = True
    """Each label its own threshold, so that the coverage holds for the items of each label, where half of the
    calibration split has 1/alpha - 1 rows of each; otherwise one threshold, and that is said. With few rows a label,
    sets are larger."""
    penalty: Annotated[float, Field(ge=0.0)] = 0.01
    """λ of `raps`: what each label adds to a score beyond the first `free_ranks`. More keeps large sets smaller."""
    free_ranks: NonNegative = 5
    """k of `raps`: the number of most probable labels that are not penalised."""


class AbstentionConfig(Section):
    """When the model may answer alone: above a confidence that keeps the error below a bound."""

    max_risk: Share | None = 0.05
    """The share of wrong answers among those that the model gives alone, at most. With `confidence` 0.9, that takes 45
    rows or more in half of the calibration split. None leaves it out."""
    confidence: Share = 0.9
    """How sure that bound must be, over calibration splits that might have been drawn."""


def with_posterior(document: Any) -> Any:
    """Return a campaign's document with the number of samples to evaluate its adapter method with, if it says none.

    What is no document of settings comes back as it is.
    """
    if not isinstance(document, Mapping):
        return document
    method = _setting(document.get("adapter"), "method")
    number = POSTERIOR_SAMPLES.get(method) if isinstance(method, str) else None
    return document if number is None else filled(document, "evaluation", "num_samples", number)


def _setting(section: object, name: str) -> object:
    return section.get(name) if isinstance(section, Mapping) else getattr(section, name, None)
