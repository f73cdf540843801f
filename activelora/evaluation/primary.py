"""The primary metric: what a campaign is judged by, where that is not its kind's own headline.

One table says of each metric how people read it and which way is better; one function turns probabilities into any of
them. Everything that steers by a headline (gates, stopping, champion, forecast, report, comparisons) asks these.

Letters: N items, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from activelora.evaluation import bootstrap, label_metrics
from activelora.evaluation import classification_metrics as metrics
from activelora.evaluation.classification_metrics import FloatArray, IntArray
from activelora.evaluation.headline import Headline

if TYPE_CHECKING:
    from activelora.config.campaign import EvaluationConfig


@dataclass(frozen=True)
class Primary:
    """A metric that a campaign may be judged by.

    Attributes:
        metric: Its name in an evaluation, and in `evaluation.primary`.
        title: Its name for people.
        word: The same within a sentence.
        is_share: It lies between 0 and 1 and is shown in percent.
        lower_is_better: Lower values are better.
        is_mean: It is the mean of what each item scores.
        of_label: It is about one label, `evaluation.positive_label`.
    """

    metric: str
    title: str
    word: str
    is_share: bool = True
    lower_is_better: bool = False
    is_mean: bool = False
    of_label: bool = False

    def headline(self, own: Headline, config: EvaluationConfig) -> Headline:
        """Return the headline of a campaign that is judged by it.

        Args:
            own: The headline of its kind, whose other columns stay.
            config: The campaign's settings: label, beta and precision are part of the name.
        """
        title, word = (_named(name, config) if self.of_label else name for name in (self.title, self.word))
        others = tuple(column for column in own.columns if column[0] != self.metric)
        return replace(
            own,
            metric=self.metric,
            title=title,
            is_share=self.is_share,
            lower_is_better=self.lower_is_better,
            columns=((self.metric, word), *others),
            is_mean=self.is_mean,
            counted="num_positive" if self.of_label else "num_holdout",
            verb="reaches",
        )


NLL = Primary("nll", "NLL", "NLL", is_share=False, lower_is_better=True, is_mean=True)
BRIER = Primary("brier", "Brier score", "Brier score", is_share=False, lower_is_better=True, is_mean=True)
MACRO_F1 = Primary("macro_f1", "Macro-F1", "macro-F1")
MICRO_F1 = Primary("micro_f1", "Micro-F1", "micro-F1")
MAE = Primary("mae", "MAE", "MAE", is_share=False, lower_is_better=True, is_mean=True)
CHOICE_PRIMARY = (NLL, BRIER)
"""What is measured wherever an item has one right answer out of several."""
LABEL_PRIMARY = (
    Primary("balanced_accuracy", "Balanced accuracy", "balanced accuracy"),
    MACRO_F1,
    Primary("mcc", "MCC", "MCC", is_share=False),
    Primary("average_precision", "Average precision", "average precision", of_label=True),
    Primary("f_beta", "F{beta}", "F{beta}", of_label=True),
    Primary("recall_at_precision", "Recall at {precision}", "recall at {precision}", of_label=True),
    *CHOICE_PRIMARY,
)
"""What is measured where all items have the same labels, of which one is right."""
OF_LABEL = tuple(one.metric for one in LABEL_PRIMARY if one.of_label)
"""The metrics of one label; measured wherever `evaluation.positive_label` names one."""


def _named(name: str, config: EvaluationConfig) -> str:
    precision = f"{100 * config.required_precision:g} % precision"
    return f"{name.format(beta=f'{config.beta:g}', precision=precision)} of {config.positive_label}"


@dataclass(frozen=True)
class Wanted:
    """What is measured beside what every evaluation has.

    Attributes:
        metric: The primary metric; empty for the kind's own headline.
        positive: The label that metrics of one label are about; None leaves them out.
        beta: The weight of recall in `f_beta`.
        precision: The precision that `recall_at_precision` asks for, in (0, 1].
    """

    metric: str = ""
    positive: int | None = None
    beta: float = 1.0
    precision: float = 0.9

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics, the primary one first; only those that not every evaluation of labels has."""
        of_label = OF_LABEL if self.positive is not None else ()
        first = (self.metric,) if self.metric in ("balanced_accuracy", "mcc") else ()
        return (*first, *of_label)


NOTHING_ELSE = Wanted()
"""What a campaign wants that is judged by its kind's own headline."""


def statistic_of(name: str, probs_NC: FloatArray, labels_N: IntArray, wanted: Wanted) -> bootstrap.Statistic:
    """Return a metric of choices as a function of resampling weights.

    Args:
        name: Its name.
        probs_NC: Predictive distributions.
        labels_N: True labels.
        wanted: Label, beta and precision.

    Raises:
        KeyError: There is no such metric of these predictions.
    """
    if name in OF_LABEL and wanted.positive is not None:
        positive = wanted.positive
        if name == "average_precision":
            return label_metrics.average_precision_of(probs_NC, labels_N, positive)
        if name == "f_beta":
            return label_metrics.f_beta_of(probs_NC, labels_N, positive, wanted.beta)
        return label_metrics.recall_at_precision_of(probs_NC, labels_N, positive, wanted.precision)
    if name in ("nll", "brier", "accuracy"):
        item_scores = {"nll": metrics.item_nll, "brier": metrics.item_brier, "accuracy": metrics.correct_predictions}
        return bootstrap.mean_of(item_scores[name](probs_NC, labels_N))
    makers = {
        "balanced_accuracy": label_metrics.balanced_accuracy_of,
        "mcc": label_metrics.mcc_of,
        "macro_f1": bootstrap.macro_f1_of,
    }
    return makers[name](probs_NC, labels_N)


def refreshed_of(probs_NC: FloatArray, labels_N: IntArray, wanted: Wanted) -> dict[str, bootstrap.Statistic]:
    """Return what is measured on a refreshed holdout beside the usual: all that is wanted, and the primary metric."""
    names = dict.fromkeys((*wanted.names, *("macro_f1",) * (wanted.metric == "macro_f1")))
    return {name: statistic_of(name, probs_NC, labels_N, wanted) for name in names}


def ranked_of(probs_NC: FloatArray, labels_N: IntArray, wanted: Wanted) -> dict[str, bootstrap.Statistic]:
    """Return what a temperature can change of metrics of one label: those that go by the order of its probability."""
    names = (name for name in wanted.names if name in ("average_precision", "recall_at_precision"))
    return {name: statistic_of(name, probs_NC, labels_N, wanted) for name in names}


def statistics_of(probs_NC: FloatArray, labels_N: IntArray, wanted: Wanted) -> dict[str, bootstrap.Statistic]:
    """Return all that is wanted of choices, by name."""
    return {name: statistic_of(name, probs_NC, labels_N, wanted) for name in wanted.names}
