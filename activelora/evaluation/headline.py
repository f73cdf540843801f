"""By which number a kind of task is judged first, and which others people see beside it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Headline:
    """What a learning curve, a table of rounds and a champion go by.

    Attributes:
        metric: Its name in an evaluation.
        title: Its name for people.
        is_share: It lies between 0 and 1 and is shown in percent.
        lower_is_better: Lower values are better, as of errors.
        columns: Metrics of a table of rounds, the headline first, with their headings.
        second: The metric of the learning curve's other panel, with its title.
        second_note: What is good there.
        is_mean: It is the mean of what each item scores, as accuracy and NLL are; F1, average precision and MCC are of
            all items at once.
        counted: The metric that says on how many items it rests.
        verb: How the report's first sentence goes on before the value and :attr:`word`, where it is no share of right
            answers and no error: ``reaches``.
    """

    metric: str
    title: str
    is_share: bool
    lower_is_better: bool
    columns: tuple[tuple[str, str], ...]
    second: tuple[str, str]
    second_note: str
    is_mean: bool = True
    counted: str = "num_holdout"
    verb: str = ""

    @property
    def word(self) -> str:
        """Its name within a sentence."""
        return self.columns[0][1]

    @property
    def counts_items(self) -> bool:
        """Whether it is the share of items that are right, so that an item scores 1 or 0."""
        return self.is_share and self.is_mean


ACCURACY = Headline(
    "accuracy",
    "Accuracy",
    is_share=True,
    lower_is_better=False,
    columns=(("accuracy", "accuracy"), ("ece", "ECE"), ("nll", "NLL")),
    second=("ece", "Calibration error (ECE)"),
    second_note="lower is better",
)
