"""Which settings go with `training.self_training`."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.config import CampaignConfig
from activelora.config.conflict import Conflict
from activelora.kinds.registry import get_kind

_KEY = "training.self_training"


def self_training(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield why a model's own answers cannot be trained on."""
    if config.training.self_training is None:
        return
    kind = get_kind(config.task.kind)
    if not kind.one_softmax:
        problem = f"takes the most probable of several answers, and this is {kind.name}"
        yield Conflict(_KEY, problem, "Leave it out.")
