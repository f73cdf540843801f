"""What goes with the kind."""

from __future__ import annotations

from activelora.evaluation.headline import ACCURACY
from activelora.evaluation.primary import CHOICE_PRIMARY
from activelora.tasks.task import Kind
from activelora.uncertainty.measures import MEASURES

KIND = Kind(
    name="multiple_choice",
    summary="one of the item's own choices",
    implementation="activelora.kinds.multiple_choice.task:MultipleChoice",
    judge="activelora.evaluation.judges:ChoiceJudge",
    headline=ACCURACY,
    primary=CHOICE_PRIMARY,
    measures=tuple(MEASURES),
    needs_choices=True,
    aggregations=("one_coin",),
    answers=("letters", "text"),
    reworded=lambda config: None,
)
