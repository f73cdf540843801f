"""What a holdout that follows its pool needs."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.acquisition.exploration import num_exploration
from activelora.config import CampaignConfig
from activelora.config.conflict import Conflict
from activelora.kinds.registry import get_kind


def holdout_refresh(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield a refresh of the holdout without random draws, or of answers that are not right or wrong."""
    if config.data.holdout_refresh == "never":
        return
    key, kind, acquisition = "data.holdout_refresh", get_kind(config.task.kind), config.acquisition
    if not kind.checks_exploration:
        yield Conflict(
            key, f"weighted metrics are of answers that are right or wrong, and this is {kind.name}", "Leave it out."
        )
    elif num_exploration(acquisition.batch_size, acquisition.exploration) == 0:
        yield Conflict(
            key,
            f"items join the holdout by random draws, and acquisition.exploration {acquisition.exploration:g} of a "
            f"batch of {acquisition.batch_size} draws none",
            "Set acquisition.exploration to 0.2, for example, or leave data.holdout_refresh out.",
        )
