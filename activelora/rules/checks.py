"""Every rule between settings. A rule is a function from a configuration to the conflicts in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from activelora.config import CampaignConfig
from activelora.config.conflict import Conflict
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError
from activelora.kinds.registry import get_kind
from activelora.rules import campaign, labeling
from activelora.rules.annotators import annotators
from activelora.rules.own_sections import with_own_sections
from activelora.rules.parallel import parallel
from activelora.rules.privacy import privacy
from activelora.rules.task import task

Rule = Callable[[CampaignConfig], Iterator[Conflict]]

RULES: tuple[Rule, ...] = (
    task,
    campaign.adapter,
    campaign.sampling,
    campaign.two_stage,
    campaign.strategy,
    campaign.packing,
    campaign.class_floor,
    campaign.budget,
    campaign.split,
    campaign.labels,
    campaign.steps,
    campaign.plateau,
    campaign.gates,
    parallel,
    labeling.oracle,
    labeling.llm,
    privacy,
    labeling.deadlines,
    labeling.adjudication,
    annotators,
    labeling.label_studio,
)


def conflicts(config: CampaignConfig) -> list[Conflict]:
    """Return every conflict between settings, in the order of the rules."""
    try:
        get_kind(config.task.kind)
    except ConfigError as error:  # the rules ask the kind
        return [Conflict(error.where, error.problem, error.remedy)]
    return [conflict for rule in RULES for conflict in rule(config)]


def require_no_conflicts(config: CampaignConfig, *, where: str) -> CampaignConfig:
    """Return the configuration if its settings go together, with all settings that parts of other packages read.

    Args:
        config: Settings that are about to be frozen. A campaign that is frozen already is never judged again.
        where: The file that they came from, for messages.

    Raises:
        ProblemsError: Every problem of other packages' settings, or every conflict, at once.
    """
    config = with_own_sections(config, where=where)
    problems: list[ActiveLoRAError] = [
        ConfigError(f"`{found.key}`: {found.problem}", where=where, remedy=found.remedy) for found in conflicts(config)
    ]
    if problems:
        raise ProblemsError(problems)
    return config
