"""What a checkpoint that is quantised already asks of a campaign's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activelora.errors import ConfigError, ProblemsError
from activelora.modeling.prequantized import stored_of
from activelora.rules.checks import conflicts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from activelora.config import CampaignConfig


def as_stored(config: CampaignConfig, skeleton: PreTrainedModel, facts: list[tuple[str, str]]) -> CampaignConfig:
    """Return the settings with the form that a checkpoint's weights have: what does not go with it is refused.

    Args:
        config: The campaign's settings.
        skeleton: The base model without weights.
        facts: What `check` tells; gets a line if the weights are quantised.

    Raises:
        ProblemsError: Settings do not go with weights that are quantised.
    """
    stored = stored_of(skeleton.config, config.model)
    if stored is None:
        return config
    as_what = f"in {stored.form}" if stored.form else "read as plain numbers"
    facts.append(("weights", f"quantised in the checkpoint ({stored.method}), {as_what}"))
    if stored.form is None or config.model.quantization == stored.form:
        return config
    seen = config.model_copy(update={"model": config.model.model_copy(update={"quantization": stored.form})})
    known = conflicts(config)
    remedy = "Set it otherwise, or use the checkpoint that is not quantised."
    found = [ConfigError(one.problem, remedy=remedy, key=one.key) for one in conflicts(seen) if one not in known]
    if found:
        raise ProblemsError([*found])
    return seen
