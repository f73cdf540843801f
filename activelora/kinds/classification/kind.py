"""What goes with the kind."""

from __future__ import annotations

from activelora.config import TaskConfig
from activelora.evaluation.headline import ACCURACY
from activelora.evaluation.primary import LABEL_PRIMARY
from activelora.tasks.task import Kind
from activelora.uncertainty.measures import MEASURES


def _refusal(config: TaskConfig) -> str | None:
    return "a classification task needs at least two `labels`" if len(config.labels) < 2 else None


KIND = Kind(
    name="classification",
    summary="one of a fixed list of labels",
    implementation="activelora.kinds.classification.task:make",
    judge="activelora.evaluation.judges:ChoiceJudge",
    headline=ACCURACY,
    primary=LABEL_PRIMARY,
    measures=tuple(MEASURES),
    aggregations=("dawid_skene", "one_coin"),
    fields=("labels",),
    numbered=True,
    answers=("letters", "words", "text"),
    reworded=lambda config: config.labels,
    fixed_labels=lambda config: config.labels,
    refusal=_refusal,
)
