"""What goes with the kind."""

from __future__ import annotations

from activelora.config import TaskConfig
from activelora.evaluation.headline import ACCURACY
from activelora.evaluation.primary import LABEL_PRIMARY
from activelora.tasks.task import Kind
from activelora.uncertainty.measures import MEASURES

LABELS = ("first", "second")
"""Names of the labels: which answer is better."""


def _refusal(config: TaskConfig) -> str | None:
    if config.first_answer == config.second_answer:
        return f"`first_answer` and `second_answer` are both `{config.first_answer}`: they name two columns"
    return None


def _asks(config: TaskConfig) -> str:
    return (
        f"Which is the better answer: `{LABELS[0]}`, which is {{{config.first_answer}}}, or `{LABELS[1]}`, which is "
        f"{{{config.second_answer}}}?"
    )


KIND = Kind(
    name="preference",
    summary="which of the item's two answers is better",
    implementation="activelora.kinds.preference.task:make",
    judge="activelora.evaluation.judges:ChoiceJudge",
    headline=ACCURACY,
    primary=LABEL_PRIMARY,
    measures=tuple(MEASURES),
    one_softmax=False,  # of what the adapter adds to the answers' log-likelihoods, and not of these
    compares_answers=True,
    corrects_prior=False,
    aggregations=("dawid_skene", "one_coin"),
    fields=("first_answer", "second_answer", "beta"),
    numbered=True,
    reworded=lambda config: None,
    fixed_labels=lambda config: LABELS,
    asks=_asks,
    refusal=_refusal,
)
