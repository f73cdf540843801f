"""Expected gradient length: items whose label would move the model most, whatever it turns out to be.

score = E_{y ~ p̄} ‖∇ℓ(x, y)‖₂, ℓ the training loss (Settles et al. 2008, "Multiple-Instance Active Learning"). The norm
is L2, and the expectation is over the model's whole label distribution. score_pool computes it, either for the answer
head in closed form or for the adapter's parameters exactly: see :mod:`activelora.scoring.gradient_length`.
Letters: N unlabelled items, C answers.
"""

from __future__ import annotations

from collections.abc import Iterator

from activelora.acquisition.strategy import (
    GRADIENT_LENGTH,
    GRADIENTS,
    Pick,
    ScoredPool,
    SelectionContext,
    Strategy,
)
from activelora.acquisition.top import measure, top
from activelora.config import CampaignConfig
from activelora.config.acquisition import ExpectedGradientLengthConfig
from activelora.config.conflict import Conflict


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Return the top of the ranking."""
    scores_N = measure(pool, GRADIENT_LENGTH)
    what = f"expected gradient length of the {'answer head' if context.settings.gradient == 'head' else 'adapter'}"
    return top(pool, scores_N, num, lambda index: f"{what} {scores_N[index]:.3g}", seed=context.seed)


def conflicts(config: CampaignConfig, settings: ExpectedGradientLengthConfig) -> Iterator[Conflict]:
    """Yield a base model that no gradient of single items goes through."""
    if settings.gradient == "adapter" and config.model.quantization != "none":
        yield Conflict(
            f"acquisition.{STRATEGY.name}.gradient",
            f"gradients of single items cannot be computed through a base model in {config.model.quantization}",
            "Set it to head, or set model.quantization to none.",
        )


STRATEGY = Strategy(
    "expected_gradient_length",
    "E_{y~p̄} ‖∇ℓ(x, y)‖₂: its label would move the model most",
    select,
    needs=frozenset({GRADIENTS}),
    needs_answers=True,
    settings=ExpectedGradientLengthConfig,
    conflicts=conflicts,
)
