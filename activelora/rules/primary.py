"""The primary metric: whether the kind of task has it, which label it is about, and values that it can reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from activelora.config.conflict import Conflict
from activelora.errors import ConfigError
from activelora.kinds.registry import get_kind, headline_of, wanted_of
from activelora.registry import call
from activelora.rules.task import refusal
from activelora.tasks.task import LABELS_OR_NONE
from activelora.tasks.written import MAX_SHOWN

if TYPE_CHECKING:
    from activelora.config import CampaignConfig


def primary(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield a primary metric that is not measured, a label that it needs, and values that it never has."""
    if refusal(config.task) is not None:
        return
    try:
        headline = headline_of(config)
    except ConfigError as error:
        yield Conflict("evaluation.primary", error.problem, error.remedy)
        return
    yield from _label(config)
    wanted = {
        "evaluation.gates.primary": config.evaluation.gates.primary,
        "stopping.target_primary": config.stopping.target_primary,
    }
    for key, value in wanted.items():
        if value is not None and headline.is_share and not 0 < value <= 1:
            problem = f"{headline.word} lies above 0 and at most at 1, not at {value:g}"
            yield Conflict(key, problem, "Write 0.9 for 90 %.")


def _label(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield a label that is missing, or none, or that nothing is said about."""
    settings, kind = config.evaluation, get_kind(config.task.kind)
    of_label = [one.metric for one in kind.primary if one.of_label]
    if settings.positive_label is None:
        if settings.primary in of_label:
            labels = call(kind, "fixed_labels", kind.fixed_labels, config.task, gives=LABELS_OR_NONE) or ()
            names = ", ".join(f"`{label}`" for label in labels[:MAX_SHOWN])
            problem = f"`{settings.primary}` is about one label, and none is named"
            yield Conflict("evaluation.positive_label", problem, f"Name the label that counts, one of {names}.")
            return
        for name in ("beta", "required_precision"):
            if getattr(settings, name) != type(settings).model_fields[name].default:
                problem = "it is about the label `evaluation.positive_label`, and none is named"
                yield Conflict(f"evaluation.{name}", problem, "Name one, or leave it out.")
    elif not of_label:
        problem = f"a {kind.name} task is measured by no metric of one label"
        yield Conflict("evaluation.positive_label", problem, "Leave it out.")
    else:
        try:
            wanted_of(config)
        except ConfigError as error:
            yield Conflict("evaluation.positive_label", error.problem, error.remedy)
