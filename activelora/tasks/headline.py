"""The one metric that a task is judged by: in forecasts, comparisons and wherever a page speaks of one number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Headline:
    """A task's main metric.

    Attributes:
        name: As in evaluate_adapter's metrics.
        title: For people.
        higher_is_better: False for errors.
        limit: The best value that there is: 1 for a share of right answers, 0 for an error.
        is_share: The value is a share, which people read in percent.
    """

    name: str = "accuracy"
    title: str = "accuracy"
    higher_is_better: bool = True
    limit: float = 1.0
    is_share: bool = True

    def shown(self, value: float) -> str:
        """Return a value as people read it: ``0.874`` → ``87.4 %`` for a share."""
        return f"{100 * value:.1f} %" if self.is_share else f"{value:.3f}"


ACCURACY = Headline()
_OTHERS: dict[str, Headline] = {}


def headline_of(kind: str) -> Headline:
    """Return the headline metric of a kind of task."""
    return _OTHERS.get(kind, ACCURACY)
