"""What annotators see: the labelling interface of a task, and the data of an item that fills it.

The interface is XML that is built as a tree, so that nothing in a label can end an attribute. Item texts travel as
data and are shown by ``Text``, which shows HTML as text. Label Studio takes an attribute that begins with ``$`` for
the name of a data field: labels that do so travel as data too.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from xml.etree import ElementTree

from activelora.campaign.records import Item
from activelora.config import CampaignConfig
from activelora.kinds.registry import make_task
from activelora.tasks.task import Form, Task

CONTROL = "label"
"""The name of the tag that takes the answer."""
CHOICES = "choices"
"""The data field with an item's choices."""
NO_LABEL = "none of these"
MAX_INLINE = 8
MAX_LISTED = 30
"""More labels than this are chosen from a list that opens."""


def interface(config: CampaignConfig) -> str:
    """Return the labelling interface of a campaign's task, as XML."""
    task = make_task(config.task)
    view = ElementTree.Element("View")
    names = field_names(task.columns)
    for column, name in names.items():
        if len(names) > 1:
            ElementTree.SubElement(view, "Header", value=column, size="5")
        ElementTree.SubElement(view, "Text", name=name, value=f"${name}", granularity="word")
    target = next(iter(names.values()))
    _CONTROLS[task.kind.form].add_to(view, task, target)
    return ElementTree.tostring(view, encoding="unicode")


def needs_data(task: Task) -> bool:
    """Tell whether the choices travel with each item."""
    return task.kind.needs_choices or any(label.startswith("$") for label in shown_labels(task))


def shown_labels(task: Task) -> list[str]:
    """Return the labels as they are shown; none where each item has its own or there is no list."""
    if not task.kind.lists_labels or task.kind.needs_choices:
        return []
    names = list(task.label_names)
    return [*names, no_label(names)] if task.kind.takes_several else names


def no_label(names: Sequence[str]) -> str:
    """Return what stands for no label at all, in words that are no label."""
    taken = {name.strip().casefold() for name in names}
    return NO_LABEL if NO_LABEL not in taken else f"({NO_LABEL} labels)"


def shown_choices(task: Task, item: Item) -> list[str]:
    """Return an item's answers as they are shown, in the order of their numbers."""
    if task.kind.needs_choices:
        return [task.label_name(index, item) for index in range(len(item.choices))]
    return shown_labels(task)


def field_names(columns: Sequence[str]) -> dict[str, str]:
    """Return column → data field: letters, digits and ``_`` only, each once."""
    names: dict[str, str] = {}
    for column in columns:
        plain = "".join(character if character.isascii() and character.isalnum() else "_" for character in column)
        name, number = f"item_{plain}", 2
        while name in names.values():
            name, number = f"item_{plain}_{number}", number + 1
        names[column] = name
    return names


def item_data(task: Task, item: Item) -> dict[str, Any]:
    """Return the data of an item that the interface refers to."""
    data: dict[str, Any] = {name: item.fields[column] for column, name in field_names(task.columns).items()}
    if needs_data(task):
        data[CHOICES] = [{"value": shown} for shown in shown_choices(task, item)]
    return data


def prediction(task: Task, item: Item, probs_C: Sequence[float], version: str) -> dict[str, Any]:
    """Return the model's answer in Label Studio's form.

    Args:
        task: A task with one answer out of several.
        item: The item.
        probs_C: The probability of each answer.
        version: Version of the model.
    """
    best = max(range(len(probs_C)), key=lambda index: probs_C[index])
    value = _CONTROLS[task.kind.form].value(task, item, best)
    [tag] = value
    target = next(iter(field_names(task.columns).values()))
    result = {"from_name": CONTROL, "to_name": target, "type": tag, "value": value}
    return {"model_version": version, "score": float(probs_C[best]), "result": [result]}


def instructions(config: CampaignConfig) -> str:
    """Return what annotators read before they begin, as HTML in which nothing of the campaign file is markup."""
    task = make_task(config.task)
    text = config.labeling.label_studio.instructions
    if text is None:
        wanted = _CONTROLS[task.kind.form].wanted(task)
        text = f"{wanted} Skip what cannot be answered.\n\nThe model is asked:\n{task.kind.question(config.task)}"
    return html.escape(text).replace("\n", "<br>")


def answer_of(task: Task, item: Item, value: Mapping[str, Any] | None) -> str | float | int | list[str]:
    """Return the label that an annotation carries, as the task parses it; what no task accepts, if it is empty.

    Args:
        task: The task.
        item: The item.
        value: The ``value`` of the result of :data:`CONTROL`; None where there is none.
    """
    return _CONTROLS[task.kind.form].answer(task, item, value or {})


class _Control(Protocol):
    """The tag that takes answers of one form."""

    def add_to(self, view: ElementTree.Element, task: Task, target: str) -> None:
        """Add the tag, for the object tag that is named."""

    def wanted(self, task: Task) -> str:
        """Return what annotators are to do."""

    def value(self, task: Task, item: Item, best: int) -> dict[str, Any]:
        """Return the model's answer, the one of that number, as the tag's value."""

    def answer(self, task: Task, item: Item, value: Mapping[str, Any]) -> str | float | int | list[str]:
        """Return the label that the tag's value carries, as the task parses it."""


class _OneChoice:
    """A list of which one is chosen."""

    def add_to(self, view: ElementTree.Element, task: Task, target: str) -> None:
        _add_choices(view, task, target, "single-radio", "single")

    def wanted(self, task: Task) -> str:
        return "Choose the one answer that fits."

    def value(self, task: Task, item: Item, best: int) -> dict[str, Any]:
        return {"choices": [shown_choices(task, item)[best]]}

    def answer(self, task: Task, item: Item, value: Mapping[str, Any]) -> str | int | list[str]:
        chosen = _chosen(value)
        if isinstance(chosen, str) or len(chosen) != 1:
            return chosen if isinstance(chosen, str) else " and ".join(chosen)
        shown = shown_choices(task, item)
        return shown.index(chosen[0]) if task.kind.needs_choices and chosen[0] in shown else chosen[0]


class _ManyChoices(_OneChoice):
    """A list of which any number is chosen."""

    def add_to(self, view: ElementTree.Element, task: Task, target: str) -> None:
        _add_choices(view, task, target, "multiple", "multiple")

    def wanted(self, task: Task) -> str:
        return f"Choose every label that fits, or “{NO_LABEL}”."

    def answer(self, task: Task, item: Item, value: Mapping[str, Any]) -> str | list[str]:
        chosen = _chosen(value)
        if isinstance(chosen, str):
            return chosen
        return [] if chosen == [no_label(task.label_names)] else chosen or [""]  # [] would be: no label fits


class _NumberField:
    """A field for a number."""

    def add_to(self, view: ElementTree.Element, task: Task, target: str) -> None:
        low, high = task.label_names[0], task.label_names[-1]
        ElementTree.SubElement(view, "Header", value=f"Answer: {task.label_hint}", size="5")
        shape = {"min": low, "max": high, "step": "any"}
        ElementTree.SubElement(view, "Number", {"name": CONTROL, "toName": target, "required": "true", **shape})

    def wanted(self, task: Task) -> str:
        return f"Give {task.label_hint}."

    def value(self, task: Task, item: Item, best: int) -> dict[str, Any]:
        return {"number": float(task.label_names[best])}

    def answer(self, task: Task, item: Item, value: Mapping[str, Any]) -> str | float:
        number = value.get("number", "")
        return number if isinstance(number, int | float) else str(number)


class _TextField:
    """A field for a text."""

    def add_to(self, view: ElementTree.Element, task: Task, target: str) -> None:
        shape = {"rows": "8", "editable": "true", "maxSubmissions": "1", "placeholder": "Write the answer here"}
        ElementTree.SubElement(view, "TextArea", {"name": CONTROL, "toName": target, "required": "true", **shape})

    def wanted(self, task: Task) -> str:
        return "Write the answer. A text that is there already may be changed."

    def value(self, task: Task, item: Item, best: int) -> dict[str, Any]:
        return {"text": [task.label_name(best, item)]}

    def answer(self, task: Task, item: Item, value: Mapping[str, Any]) -> str:
        parts = value.get("text", "")
        return parts if isinstance(parts, str) else "\n".join(str(part) for part in parts)


_CONTROLS: dict[Form, _Control] = {
    "choice": _OneChoice(),
    "set": _ManyChoices(),
    "number": _NumberField(),
    "text": _TextField(),
}


def _add_choices(view: ElementTree.Element, task: Task, target: str, choice: str, listed: str) -> None:
    labels = shown_labels(task)
    shape = {"choice": choice, "required": "true"}
    if labels and len(labels) <= MAX_INLINE:
        shape["showInline"] = "true"
    elif len(labels) > MAX_LISTED:
        shape |= {"layout": "select", "choice": listed}
    if needs_data(task):
        shape["value"] = f"${CHOICES}"
    choices = ElementTree.SubElement(view, "Choices", {"name": CONTROL, "toName": target, **shape})
    if not needs_data(task):
        for label in labels:
            ElementTree.SubElement(choices, "Choice", value=label)


def _chosen(value: Mapping[str, Any]) -> list[str] | str:
    """Return what was chosen; as text, which no task accepts, where it is no list of texts."""
    chosen = value.get("choices", [])
    return chosen if isinstance(chosen, list) and all(isinstance(one, str) for one in chosen) else str(chosen)
