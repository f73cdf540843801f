"""An organisation's rules for campaigns, in its own words: a policy file, and what of a campaign breaks it.

```yaml
title: Rules for language models at ACME
rules:
  - setting: model.base
    allowed: [smollm2-135m-instruct, "s3://models/*"]
    words: Only models that legal has cleared may be trained. Ask ml-platform@acme.example.
  - setting: label_budget
    at_most: 2000
    words: More than 2,000 labels need the consent of your head of department.
  - setting: evaluation.gates.min_accuracy
    at_least: 0.8
    words: No model goes live that is right less often than four times in five.
```
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError

from activelora.config.document import read_yaml
from activelora.config.messages import explain_other
from activelora.config.section import OpenSection, Section
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError

if TYPE_CHECKING:
    from activelora.config import CampaignConfig

POLICY_FILE = "policy.yaml"
"""Lies beside a campaign file, or beside one that it extends."""
POLICY_VARIABLE = "ACTIVELORA_POLICY"
"""Environment variable that names a policy file for all campaigns."""
BUDGET = "label_budget"
"""What a rule calls the labels that a campaign may ask for in all, whichever settings they follow from."""


class PolicyRule(Section):
    """What one setting must be. A setting that is unset breaks every condition but `forbidden`."""

    setting: str
    """The setting, dotted; or `label_budget`, the labels in all."""
    words: Annotated[str, Field(min_length=1)]
    """What is told to whoever breaks it."""
    allowed: tuple[str, ...] | None = None
    """Values that it may have; `*` stands for anything. Each entry of a list must be one of them."""
    forbidden: tuple[str, ...] = ()
    """Values that it must not have; `*` stands for anything."""
    at_least: float | None = None
    """The smallest number that it may be."""
    at_most: float | None = None
    """The largest number that it may be."""
    required: bool = False
    """Whether it must be set to something that is not empty."""


class Policy(Section):
    """A policy file."""

    title: str = ""
    """What it is called in messages."""
    rules: tuple[PolicyRule, ...]
    """All of them hold."""


def policy_files(paths: Iterable[Path]) -> list[Path]:
    """Return the policy files for a campaign: that of the environment, and those beside its files.

    Args:
        paths: The campaign file, and those that it extends.

    Raises:
        ConfigError: The environment names one that is not there.
    """
    found: list[Path] = []
    if named := os.environ.get(POLICY_VARIABLE, "").strip():
        if not Path(named).expanduser().is_file():
            where = f"{POLICY_VARIABLE}={named}"
            raise ConfigError("there is no such policy file", where=where, remedy="Correct or unset it.")
        found.append(Path(named).expanduser())
    beside = (path.parent / POLICY_FILE for path in paths)
    known = {path.resolve(): path for path in (*found, *(one for one in beside if one.is_file()))}
    return list(known.values())


def read_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        ProblemsError: It is none.
    """
    try:
        return Policy.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ProblemsError([*explain_other(error, str(path), Policy)]) from None


def broken_rules(config: CampaignConfig, paths: Sequence[Path]) -> list[ActiveLoRAError]:
    """Return what of a campaign breaks the policies that it is under, in the policies' own words.

    Args:
        config: The campaign's settings.
        paths: The campaign file, and those that it extends; none where there is no file.
    """
    problems: list[ActiveLoRAError] = []
    try:
        for file in policy_files(paths):
            problems += _broken(read_policy(file), file, config)
    except ProblemsError as error:
        problems += error.problems
    except ConfigError as error:
        problems.append(error)
    return problems


def keep_policies(config: CampaignConfig, paths: Sequence[Path]) -> None:
    """Refuse settings that break a policy.

    Args:
        config: The campaign's settings.
        paths: The campaign file, where there is one.

    Raises:
        ProblemsError: They do.
    """
    if problems := broken_rules(config, paths):
        raise ProblemsError(problems)


def _broken(policy: Policy, file: Path, config: CampaignConfig) -> Iterator[ConfigError]:
    name = f"{policy.title} ({file})" if policy.title else str(file)
    for rule in policy.rules:
        try:
            value = _value(config, rule.setting)
        except KeyError:
            problem = f"the policy has a rule for `{rule.setting}`, which is no setting"
            yield ConfigError(problem, where=str(file), remedy="Correct the policy.")
            continue
        if condition := next(_conditions(rule, value), None):
            key = f"stopping.{BUDGET}" if rule.setting == BUDGET else rule.setting
            given = "it is not set" if value in (None, "", [], {}) else f"it is {value!r}"
            yield ConfigError(f"{condition}, and {given}. {rule.words.strip()}", remedy=f"Policy: {name}.", key=key)


def _conditions(rule: PolicyRule, value: Any) -> Iterator[str]:
    """Yield in words the conditions that a value does not meet."""
    values = value if isinstance(value, list) else [value]
    if rule.required and value in (None, "", [], {}, False):
        yield "must be set"
    if rule.allowed is not None and not all(_matches(one, rule.allowed) for one in values):
        yield f"must be {' or '.join(rule.allowed)}"
    if rule.forbidden and any(_matches(one, rule.forbidden) for one in values):
        yield f"must not be {' or '.join(rule.forbidden)}"
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if rule.at_least is not None and (number is None or number < rule.at_least):
        yield f"must be at least {rule.at_least:g}"
    if rule.at_most is not None and (number is None or number > rule.at_most):
        yield f"must be at most {rule.at_most:g}"


def _matches(value: Any, patterns: Iterable[str]) -> bool:
    if value is None:
        return False
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _value(config: CampaignConfig, key: str) -> Any:
    """Return what a setting is, as JSON has it; None for one of another package's part that the campaign has not.

    Raises:
        KeyError: There is no such setting.
    """
    if key == BUDGET:
        return config.label_budget
    node: Any = config.model_dump(mode="json")
    section: Any = config
    for part in key.split("."):
        if isinstance(node, dict) and part in node:
            node = node[part]
            section = getattr(section, part, None)
        elif node is None or isinstance(section, OpenSection):
            return None
        else:
            raise KeyError(key)
    return node
