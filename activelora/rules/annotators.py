"""Settings about several annotators that do not go with others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from activelora.config.conflict import Conflict
from activelora.kinds.registry import KINDS, get_kind

if TYPE_CHECKING:
    from activelora.config.campaign import CampaignConfig


def annotators(config: CampaignConfig) -> Iterator[Conflict]:
    """Yield rules for several annotators, gold questions or soft labels that the rest of the file rules out."""
    kind, labeling = get_kind(config.task.kind), config.labeling
    if labeling.aggregation not in ("majority", *kind.aggregations):
        kinds = [one.name for one in KINDS.loadable()[0].values() if labeling.aggregation in one.aggregations]
        problem = f"`{labeling.aggregation}` combines labels of {', '.join(kinds)}, and task.kind is {kind.name}"
        yield Conflict("labeling.aggregation", problem, "Set it to majority, or leave it out.")
    if labeling.gold_questions and not kind.gold_questions:
        problem = f"gold questions have one right answer, and task.kind is {kind.name}"
        yield Conflict("labeling.gold_questions", problem, "Leave it out.")
    if labeling.gold_questions and labeling.source == "oracle":
        problem = "gold questions measure people, and labeling.source is `oracle`"
        yield Conflict(
            "labeling.gold_questions", problem, "Leave it out, or set labeling.source to where people label."
        )
    if labeling.gold_questions and labeling.source == "llm" and labeling.llm.people.source is None:
        problem = "gold questions measure people, and labeling.llm.people.source names nobody"
        yield Conflict("labeling.gold_questions", problem, "Leave it out, or set labeling.llm.people.source.")
    if labeling.gold_questions and labeling.show_reasons:
        problem = "gold questions have no reason, which gives them away beside items that show theirs"
        yield Conflict("labeling.show_reasons", problem, "Set it to false, or leave labeling.gold_questions out.")
    if labeling.skipped == "return" and labeling.source == "llm":
        problem = "the model would be asked again, at its price, for what it has passed over"
        yield Conflict("labeling.skipped", problem, "Set it to never, or to adjudicate with labeling.adjudicators.")
    asks_in_label_studio = "label_studio" in (labeling.source, labeling.llm.people.source)
    if labeling.gold_questions and asks_in_label_studio and labeling.label_studio.predictions == "shown":
        problem = "the model's answers are shown beside all items but gold questions, which gives those away"
        yield Conflict(
            "labeling.gold_questions", problem, "Leave it out, or set labeling.label_studio.predictions to hidden."
        )
