"""What goes with the kind."""

from __future__ import annotations

from activelora.evaluation.headline import ACCURACY
from activelora.evaluation.primary import LABEL_PRIMARY
from activelora.tasks.task import Kind
from activelora.uncertainty.measures import MEASURES

LABELS = ("no", "yes")
"""Names of the labels, in this order so that 1 means yes."""

KIND = Kind(
    name="yes_no",
    summary="yes or no",
    implementation="activelora.kinds.yes_no.task:make",
    judge="activelora.evaluation.judges:ChoiceJudge",
    headline=ACCURACY,
    primary=LABEL_PRIMARY,
    measures=tuple(MEASURES),
    aggregations=("dawid_skene", "one_coin"),
    reworded=lambda config: LABELS,
    fixed_labels=lambda config: LABELS,
)
