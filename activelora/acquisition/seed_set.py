"""The seed set: the batch of round 0, before any model has been trained on this campaign's labels.

What a model says that has seen no label is a poor guide: on AG News a batch of zero-shot uncertainty cost 10 points of
the curve's area against a random one. So round 0's batch has a strategy of its own (``acquisition.initial``), by
default a random draw, which is the same for all strategies of a comparison. STAR (arXiv 2403.01165), BADGE and others
begin so in their papers. Round 0 itself stays the base model's, and is evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping

from activelora.acquisition.registry import get_strategy, measures_read, strategies_of
from activelora.acquisition.strategy import Strategy
from activelora.config import AcquisitionConfig, CampaignConfig

SEED_STRATEGIES: Mapping[str, str] = {
    "random": "random",
    "typiclust": "typiclust",
    "probcover": "probcover",
    "zero_shot": "uncertainty",
}
"""``acquisition.initial`` → the strategy that draws the seed set; ``strategy`` is the campaign's own."""


def acquisition_in(config: AcquisitionConfig, round_: int) -> AcquisitionConfig:
    """Return the acquisition settings of a round: those of the seed set in round 0.

    Args:
        config: The campaign's.
        round_: The round.
    """
    seed = seed_strategy(config)
    if round_ > 0 or seed is None:
        return config
    floor = config.per_class_floor if seed.needs_scores else 0  # of classes that nobody predicts
    return config.model_copy(update={"strategy": seed.name, "per_class_floor": floor})


def seed_strategy(config: AcquisitionConfig) -> Strategy | None:
    """Return the strategy that draws the seed set, if it is not the campaign's own.

    Args:
        config: The campaign's.
    """
    return None if config.initial == "strategy" else get_strategy(SEED_STRATEGIES[config.initial])


def measures_scored(config: AcquisitionConfig, round_: int) -> frozenset[str]:
    """Return the measures that a round's scores must hold: what its strategy reads, and what later ones read of it.

    Args:
        config: The campaign's.
        round_: The round.
    """
    own = measures_read(acquisition_in(config, round_))
    return own | measures_read(config) if is_scored(config, round_) else own


def is_scored(config: AcquisitionConfig, round_: int) -> bool:
    """Tell whether a round's pool is scored: for its own strategy, or in round 0 for what later ones read of it.

    Args:
        config: The campaign's.
        round_: The round.
    """
    if get_strategy(acquisition_in(config, round_).strategy).needs_scores:
        return True
    return round_ == 0 and any(one.reads_base for one in strategies_of(config))


def scores_pool(config: CampaignConfig, round_: int) -> bool:
    """Tell whether score_pool computes anything in a round: for strategies, or for what the next round trains on.

    The answers that self-training trains on are those of a trained model, so none of round 0.

    Args:
        config: The campaign's.
        round_: The round.
    """
    return is_scored(config.acquisition, round_) or (round_ > 0 and config.training.self_training is not None)
