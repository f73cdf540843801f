"""Settings of the section `task` that do not go with its kind."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType

from activelora.config import CampaignConfig, TaskConfig
from activelora.config.conflict import Conflict
from activelora.errors import ConfigError
from activelora.kinds.registry import KINDS, get_kind, make_task
from activelora.registry import call
from activelora.tasks.task import LABELS_OR_NONE, Kind


def task(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield what the kind of task has not, or cannot do without."""
    if (why := refusal(config.task)) is not None:
        yield Conflict("task", why, "")


def prompt(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield a prompt that is none, or does not fit how the task is answered, or that gives the answer away."""
    if refusal(config.task) is not None:
        return
    try:
        columns = make_task(config.task).columns
    except ConfigError as error:
        key = error.key or error.where
        if not key.startswith("task."):
            raise
        yield Conflict(key, error.problem, error.remedy)
        return
    if config.task.allow_label_in_prompt:
        return
    data = config.data
    golds = {"data.columns.label": data.columns.label, "data.known_labels_column": data.known_labels_column}
    for key, label in golds.items():
        for name in columns if label is not None else ():
            if name == label or str(label).startswith(f"{name}."):
                yield Conflict(
                    "task.prompt",
                    f"names {{{name}}}, which holds the gold label ({key} `{label}`): the model would be told "
                    "the answer, and in use there is none to tell",
                    "Take it out of the prompt, or set task.allow_label_in_prompt: true where that is meant.",
                )


def refusal(task: TaskConfig) -> str | None:
    """Return why these settings describe no task, in words, or None.

    Raises:
        ConfigError: There is no such kind.
    """
    kind = get_kind(task.kind)
    given = [name for name in TaskConfig.model_fields if _is_given(task, name)]
    foreign = [name for name in given if name not in kind.fields and _owners(name)]
    if "labels" in foreign:
        return f"`labels` belong to {' and '.join(_owners('labels'))}; a {kind.name} task brings its own"
    if task.answer not in kind.answers:
        return f"a {kind.name} task answers by {' or by '.join(f'`{answer}`' for answer in kind.answers)}"
    if foreign:
        return f"`{foreign[0]}` belongs to {' and '.join(_owners(foreign[0]))} only"
    return call(kind, "refusal", kind.refusal, task, gives=(str, NoneType)) or _answer_words(kind, task)


def _answer_words(kind: Kind, task: TaskConfig) -> str | None:
    if not task.answer_words:
        return None
    known = call(kind, "reworded", kind.reworded, task, gives=LABELS_OR_NONE)
    if known is None or task.answer == "letters":
        return f"`answer_words` are for label words, and {kind.name} has `answer: {task.answer}`"
    unknown = sorted(set(task.answer_words) - set(known))
    return f"`answer_words` names no label of the task: {', '.join(unknown)}" if unknown else None


def _is_given(task: TaskConfig, name: str) -> bool:
    return name in task.model_fields_set and getattr(task, name) != TaskConfig.model_fields[name].default


def _owners(setting: str) -> list[str]:
    """Return the kinds that have a setting which not every kind has; none for a setting of all."""
    return [kind.name for kind in KINDS.loadable()[0].values() if setting in kind.fields]
