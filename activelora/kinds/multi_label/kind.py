"""What goes with the kind."""

from __future__ import annotations

from activelora.config import TaskConfig
from activelora.evaluation.headline import ACCURACY
from activelora.evaluation.primary import CHOICE_PRIMARY, MACRO_F1, MICRO_F1
from activelora.tasks.task import Kind
from activelora.uncertainty.measures import MEASURES

MAX_LABELS = 62
"""A label set is a bit mask in a whole number of 64 bits."""


def _refusal(config: TaskConfig) -> str | None:
    if not 1 <= len(config.labels) <= MAX_LABELS:
        return f"a multi_label task needs 1 to {MAX_LABELS} `labels`"
    if bad := [label for label in config.labels if set(label) & set(";|") or label.strip().startswith("[")]:
        return f"label {bad[0]!r} has ; or | in it or begins with [, which stand for lists of labels"
    return None


KIND = Kind(
    name="multi_label",
    summary="any number of the task's labels; the model says yes or no to each",
    implementation="activelora.kinds.multi_label.task:MultiLabel",
    judge="activelora.kinds.multi_label.judge:SetJudge",
    headline=ACCURACY,
    primary=(MACRO_F1, MICRO_F1, *CHOICE_PRIMARY),
    measures=tuple(MEASURES),
    form="set",
    one_answer=False,
    one_softmax=False,
    asks_each_label=True,
    draws_by_label=False,
    checks_exploration=False,
    corrects_prior=False,
    aggregations=("one_coin",),
    blank_is_answer=True,
    fields=("labels",),
    numbered=True,
    reworded=lambda config: ("yes", "no"),
    refusal=_refusal,
)
