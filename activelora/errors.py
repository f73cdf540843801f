"""The errors a user can cause and fix: what is wrong, where, and what to do."""

from __future__ import annotations

DIVERGED = (
    "The adapter has diverged or the dtype is too narrow. A campaign's settings are frozen: begin another one "
    "(--campaign) with a lower `training.learning_rate`, or with `model.dtype: float32`."
)
"""Remedy where a model's numbers are none."""


class ActiveLoRAError(Exception):
    """A problem the user can fix.

    Args:
        problem: What is wrong with which value, and what was expected.
        where: The file, line, key or URI the value came from.
        remedy: What to do about it.
    """

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        """Return ``where: problem. Remedy``, as far as each is known."""
        text = f"{self.where}: {self.problem}" if self.where else self.problem
        if not self.remedy:
            return text
        return f"{text}{'' if text.endswith(('.', '!', '?')) else '.'} {self.remedy}"


class ConfigError(ActiveLoRAError):
    """The campaign file says something that cannot be.

    Args:
        problem: What is wrong with which value, and what was expected.
        where: The file, line or option the value came from. None is the setting.
        remedy: What to do about it.
        key: The setting, dotted, where it is about one.
    """

    def __init__(self, problem: str, *, where: str = "", remedy: str = "", key: str = "") -> None:
        super().__init__(problem, where=where or key, remedy=remedy)
        self.key = key

    def given_in(self, where: str) -> ConfigError:
        """Return the same error of a setting with the place that it came from: a file, or an option.

        Args:
            where: The place.
        """
        problem = f"`{self.key}`: {self.problem}" if self.where == self.key else self.problem
        return ConfigError(problem, where=where, remedy=self.remedy, key=self.key)


class DataError(ActiveLoRAError):
    """Pool, holdout or calibration rows cannot be read or used."""


class LabelError(ActiveLoRAError):
    """A label is not one the task allows."""


class StoreError(ActiveLoRAError):
    """The campaign store cannot be reached, or holds something unexpected."""


class ModelError(ActiveLoRAError):
    """A base model, tokenizer or adapter cannot be loaded or does not fit the task."""


class ProblemsError(ActiveLoRAError):
    """Several problems at once, so that one run of ``activelora check`` shows them all.

    Args:
        problems: The problems, in the order they were found. At least one.
        hint: What may help with them, in a line or some, to be shown after them.
    """

    def __init__(self, problems: list[ActiveLoRAError], *, hint: str = "") -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
        self.hint = hint
