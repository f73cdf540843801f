"""Settings about labels, their source and the wait for them that are each allowed, but not together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from activelora.config.conflict import Conflict
from activelora.config.labeling import confusion_matrix
from activelora.config.llm import LLMConfig
from activelora.kinds.registry import get_kind
from activelora.registry import call
from activelora.tasks.task import LABELS_OR_NONE

if TYPE_CHECKING:
    from activelora.config import CampaignConfig


def oracle(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield what keeps simulated mistakes from being simulated."""
    labeling, task = config.labeling, config.task
    kind = get_kind(task.kind)
    given = {"oracle_error_rate": labeling.oracle_error_rate > 0, "oracle_confusion": labeling.oracle_confusion}
    problem = ""
    if labeling.source != "oracle":
        problem = f"it belongs to the `oracle` label source, and labeling.source is `{labeling.source}`"
    elif not kind.one_answer:
        problem = f"mistakes are simulated where an item has one label out of several, and this is {kind.name}"
    if problem:
        yield from (Conflict(f"labeling.{name}", problem, "Leave it out.") for name, value in given.items() if value)
        return
    if labeling.oracle_confusion is None:
        return
    key = "labeling.oracle_confusion"
    if labeling.oracle_error_rate > 0:
        yield Conflict(
            key,
            "labeling.oracle_error_rate is given too, and both say how often answers are wrong",
            "Keep one of the two.",
        )
    labels = call(kind, "fixed_labels", kind.fixed_labels, task, gives=LABELS_OR_NONE)
    if labels is None:
        yield Conflict(
            key,
            f"a {kind.name} task has no fixed list of labels that could be confused",
            "Use labeling.oracle_error_rate.",
        )
        return
    try:
        confusion_matrix(labeling.oracle_confusion, labels)
    except ValueError as error:
        yield Conflict(key, str(error), "Give each label a row of probabilities that sum to 1.")


def llm(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield what a model as annotator lacks, or where its section means nothing."""
    settings, source = config.labeling.llm, config.labeling.source
    if source != "llm":
        if settings != LLMConfig():
            problem = f"it belongs to the `llm` label source, and labeling.source is `{source}`"
            yield Conflict("labeling.llm", problem, "Leave it out.")
        return
    for name in ("url", "model", "price_in", "price_out", "max_cost"):
        if getattr(settings, name) in (None, ""):
            remedy = "Set it: prices may be 0 for a model of your own." if name.startswith("price") else "Set it."
            yield Conflict(f"labeling.llm.{name}", "the `llm` label source needs it", remedy)
    people = settings.people
    if settings.votes > 1 and settings.temperature == 0:
        problem = f"{settings.votes} answers at temperature 0 are the same answer, paid {settings.votes} times"
        remedy = "Set labeling.llm.temperature above 0, for example 0.7, or votes to 1."
        yield Conflict("labeling.llm.votes", problem, remedy)
    if people.below > 0 and settings.votes == 1:
        problem = "one answer always agrees with itself"
        yield Conflict("labeling.llm.people.below", problem, "Set labeling.llm.votes to 3 or more.")
    if people.source is None and (people.share > 0 or people.below > 0):
        problem = "share or below give items to people, and nobody is named"
        yield Conflict("labeling.llm.people.source", problem, "Set it to files.")


def label_studio(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield what the section lacks, or cannot do for the task, where people label in Label Studio."""
    if "label_studio" not in (config.labeling.source, config.labeling.llm.people.source):
        return
    settings, kind = config.labeling.label_studio, get_kind(config.task.kind)
    if settings.url is None:
        problem = "labels are to come from `label_studio`, and there is no address of it"
        yield Conflict("labeling.label_studio.url", problem, "Set it, for example to https://labels.example.org.")
    if settings.predictions != "none" and not kind.one_answer:
        problem = (
            f"`{settings.predictions}` sends one answer out of several, and scoring a {kind.name} task brings none"
        )
        yield Conflict("labeling.label_studio.predictions", problem, "Set it to none.")


def deadlines(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield settings of a deadline without one, and reminders before the items are asked for."""
    labeling = config.labeling
    hours, remedy = labeling.deadline_hours, "Set labeling.deadline_hours, or leave it out."
    if labeling.deadline_extension_hours is not None and labeling.on_deadline != "extend":
        problem = f"it belongs to on_deadline `extend`, and labeling.on_deadline is `{labeling.on_deadline}`"
        yield Conflict("labeling.deadline_extension_hours", problem, "Set on_deadline to extend, or leave it out.")
    if hours is None:
        if labeling.on_deadline in ("extend", "stop"):
            problem = f"`{labeling.on_deadline}` needs a deadline, and there is none"
            yield Conflict("labeling.on_deadline", problem, remedy)
        if labeling.remind_hours:
            problem = "it counts back from the deadline, and there is none"
            yield Conflict("labeling.remind_hours", problem, remedy)
        return
    if early := [remind for remind in labeling.remind_hours if remind >= hours]:
        problem = f"{early[0]:g} hours before the deadline is before the items are asked for (deadline_hours {hours:g})"
        yield Conflict("labeling.remind_hours", problem, "Make it smaller than labeling.deadline_hours.")


def adjudication(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield what sends items to adjudicators where there are none, or where nothing can be in dispute."""
    labeling = config.labeling
    num, names = labeling.annotators_per_item, labeling.adjudicators
    if labeling.skipped == "adjudicate" and not names:
        problem = "skipped items go to adjudicators, and labeling.adjudicators names none"
        remedy = "Name one or more in labeling.adjudicators, or set it to never or return."
        yield Conflict("labeling.skipped", problem, remedy)
    if labeling.min_agreement > 0 and not names:
        problem = "items with too little agreement go to adjudicators, and labeling.adjudicators names none"
        remedy = "Name one or more in labeling.adjudicators, or leave it out."
        yield Conflict("labeling.min_agreement", problem, remedy)
    if labeling.min_agreement > 0 and num == 1:
        problem = "a single answer always agrees with itself, and labeling.annotators_per_item is 1"
        remedy = "Set labeling.annotators_per_item to 2 or more, or leave it out."
        yield Conflict("labeling.min_agreement", problem, remedy)
    if len(set(names)) < len(names):
        yield Conflict("labeling.adjudicators", "names somebody twice", "Leave the second one out.")
