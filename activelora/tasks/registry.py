"""The kinds of tasks."""

from __future__ import annotations

from collections.abc import Callable

from activelora.config import TaskConfig
from activelora.tasks.classification import Classification
from activelora.tasks.generation import Generation
from activelora.tasks.multi_label import MultiLabel
from activelora.tasks.multiple_choice import MultipleChoice
from activelora.tasks.regression import Regression
from activelora.tasks.task import Task

_KINDS: dict[str, Callable[[TaskConfig], Task]] = {
    "classification": Classification,
    "yes_no": Classification,
    "multiple_choice": MultipleChoice,
    "multi_label": MultiLabel,
    "generation": Generation,
    "regression": Regression,
}


def make_task(config: TaskConfig) -> Task:
    """Return the task of a campaign.

    Raises:
        ConfigError: Prompt and answer form do not fit.
    """
    return _KINDS[config.kind](config)
