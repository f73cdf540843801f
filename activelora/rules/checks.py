"""Every rule between settings, and what is told of a document that breaks some.

A rule is a function from a configuration to the conflicts in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pydantic import ValidationError

from activelora.config import CampaignConfig
from activelora.config.conflict import Conflict
from activelora.config.document import Document
from activelora.config.file import as_far_as_valid
from activelora.config.messages import explain, find_secrets
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError
from activelora.rules import campaign, labeling
from activelora.rules.annotators import annotators
from activelora.rules.growth import growth
from activelora.rules.holdout_refresh import holdout_refresh
from activelora.rules.known_labels import known_labels
from activelora.rules.label_names import label_names
from activelora.rules.names import NAMED, renamed, wrong_names
from activelora.rules.outside import mlflow_names, s3_uris
from activelora.rules.own_sections import as_far_as_known, full_schema, with_own_sections
from activelora.rules.parallel import parallel
from activelora.rules.policy import broken_rules
from activelora.rules.primary import primary
from activelora.rules.privacy import privacy
from activelora.rules.rare_class import rare_label
from activelora.rules.self_training import self_training
from activelora.rules.task import prompt, task

Rule = Callable[[CampaignConfig], Iterator[Conflict]]

RULES: tuple[Rule, ...] = (
    task,
    prompt,
    label_names,
    campaign.adapter,
    campaign.sampling,
    campaign.two_stage,
    campaign.drawn_answers,
    campaign.entailment,
    campaign.strategy,
    campaign.fit,
    campaign.packing,
    self_training,
    campaign.class_floor,
    rare_label,
    campaign.budget,
    campaign.split,
    growth,
    campaign.labels,
    known_labels,
    holdout_refresh,
    campaign.steps,
    campaign.plateau,
    campaign.gates,
    primary,
    parallel,
    labeling.oracle,
    labeling.llm,
    privacy,
    labeling.deadlines,
    labeling.adjudication,
    annotators,
    labeling.label_studio,
    mlflow_names,
    s3_uris,
)


def conflicts(config: CampaignConfig) -> list[Conflict]:
    """Return every conflict between settings, in the order of the rules.

    Raises:
        ConfigError: There is no such kind of task, which the rules ask.
    """
    return [conflict for rule in RULES for conflict in rule(config)]


class Examined(NamedTuple):
    """What is wrong with settings.

    Attributes:
        problems: Every wrong key, value and name, in the sections of other packages too; and every conflict, where all
            keys and values are right, that stands whatever a wrong name should have been.
        config: The settings, with all that parts of other packages read. They are fit to be frozen if there is no
            problem, and to look at data and model if names alone are wrong; None otherwise.
        document: What they were read from; None where it could not be read.
    """

    problems: list[ActiveLoRAError]
    config: CampaignConfig | None
    document: Document | None = None


def examine(document: Document) -> Examined:
    """Validate settings, and look whether they go together.

    Args:
        document: Settings that are about to be frozen. A campaign that is frozen already is never judged again.
    """
    where = document.where
    problems = [*document.problems, *find_secrets(document.settings, where)]
    try:
        config = CampaignConfig.model_validate(document.settings)
    except ValidationError as error:
        problems += explain(error, where, model=full_schema())
        config = as_far_as_valid(document.settings)
    is_valid = not problems
    known = config
    try:
        config = known = with_own_sections(config, where=where)
    except ProblemsError as error:
        problems += error.problems
        known = as_far_as_known(config, [one.key for one in error.problems if isinstance(one, ConfigError)])
    wrong = wrong_names(known)
    found = _certain(config, wrong) if is_valid else []
    is_usable = is_valid and not found and "task.kind" not in wrong
    against = broken_rules(known, document.paths) if is_valid else []
    by_text = {str(one): one for one in map(document.located, [*problems, *wrong.values(), *found, *against])}
    return Examined(list(by_text.values()), config if is_usable else None, document)


def _certain(config: CampaignConfig, wrong: Iterable[str]) -> list[ActiveLoRAError]:
    """Return the conflicts that stand whatever the names in some settings should have been.

    Args:
        config: The campaign's settings.
        wrong: Settings whose values name nothing.
    """
    names = {key: list(NAMED[key].loadable()[0]) for key in wrong if key in NAMED}
    found = _judged(config if not names else renamed(config, {key: one[0] for key, one in names.items()}))
    for number in range(1, max(map(len, names.values()), default=0)):
        others = _judged(renamed(config, {key: one[number % len(one)] for key, one in names.items()}))
        found = {text: problem for text, problem in found.items() if text in others}
    return list(found.values())


def _judged(config: CampaignConfig) -> dict[str, ActiveLoRAError]:
    """Return the conflicts, and the failures of other packages' rules, by what they say."""
    found: list[ActiveLoRAError] = []
    for rule in RULES:
        try:
            for key, problem, remedy in rule(config):
                found.append(ConfigError(problem, remedy=remedy, key=key))
        except ProblemsError:
            continue  # of a package's own section, which is told already
        except ActiveLoRAError as error:
            found.append(error)
    return {str(error): error for error in found}
