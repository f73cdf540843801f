"""Settings about labels that are each allowed, but not together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from activelora import config_privacy
from activelora.config_annotators import annotator_conflicts
from activelora.config_conflict import Conflict
from activelora.config_label_studio import label_studio_conflicts
from activelora.config_labeling import confusion_matrix, fixed_labels, labeling_conflicts

if TYPE_CHECKING:
    from activelora.config import CampaignConfig


def labeling_rules(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield every conflict that a setting of the `labeling` section has a part in."""
    yield from _noise(config)
    yield from _llm(config)
    yield from _privacy(config)
    for one in (*labeling_conflicts(config.labeling), *annotator_conflicts(config)):
        yield Conflict(*one)
    if "label_studio" in (config.labeling.source, config.labeling.llm.people.source):
        for one in label_studio_conflicts(config.labeling.label_studio, config.task.kind):
            yield Conflict(*one)


def _noise(config: CampaignConfig) -> Iterator[Conflict]:
    labeling, task = config.labeling, config.task
    given = {"oracle_error_rate": labeling.oracle_error_rate > 0, "oracle_confusion": labeling.oracle_confusion}
    problem = ""
    if labeling.source != "oracle":
        problem = f"it belongs to the `oracle` label source, and labeling.source is `{labeling.source}`"
    elif task.kind in ("multi_label", "generation"):
        problem = f"mistakes are simulated where an item has one label out of several, and this is {task.kind}"
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
    labels = fixed_labels(task)
    if labels is None:
        yield Conflict(
            key,
            f"a {task.kind} task has no fixed list of labels that could be confused",
            "Use labeling.oracle_error_rate.",
        )
        return
    try:
        confusion_matrix(labeling.oracle_confusion, labels)
    except ValueError as error:
        yield Conflict(key, str(error), "Give each label a row of probabilities that sum to 1.")


def _llm(config: CampaignConfig) -> Iterator[Conflict]:
    for name, problem, remedy in config.labeling.llm.problems(config.labeling.source):
        yield Conflict(f"labeling.llm{name and '.'}{name}", problem, remedy)


def _privacy(config: CampaignConfig) -> Iterator[Conflict]:
    for name, problem, remedy in config_privacy.problems(config.labeling.withhold, config.labeling.redact, config.task):
        yield Conflict(f"labeling.{name}", problem, remedy)
