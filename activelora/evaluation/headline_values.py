"""Values of a headline metric: which is best, which way is better, and how people read them."""

from __future__ import annotations

from typing import Any

from activelora.evaluation.headline import Headline


def sign_of(headline: Headline) -> float:
    """Return 1 where higher values are better, and −1 for errors."""
    return -1.0 if headline.lower_is_better else 1.0


def is_worse(headline: Headline, value: float, than: float) -> bool:
    """Tell whether a value is worse than another one."""
    return value > than if headline.lower_is_better else value < than


def worse_side(headline: Headline) -> str:
    """Return on which side of a limit worse values lie."""
    return "above" if headline.lower_is_better else "below"


def noted(headline: Headline) -> dict[str, Any]:
    """Return what stopping must know of it, for the evaluation's manifest: rules that end a campaign know no kinds."""
    return {
        "metric": headline.metric,
        "word": headline.word,
        "lower_is_better": headline.lower_is_better,
        "is_share": headline.is_share,
        "counted": headline.counted,
    }


def best_of(headline: Headline) -> float:
    """Return the best value that there is: 1 for a share of right answers, 0 for an error."""
    return 0.0 if headline.lower_is_better else 1.0


def shown(headline: Headline, value: float) -> str:
    """Return a value as people read it: ``0.874`` → ``87.4 %`` for a share."""
    return f"{100 * value:.1f} %" if headline.is_share else f"{value:.3f}"
