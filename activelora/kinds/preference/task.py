"""Preference: which of an item's two answers is better, by how much more likely the adapter makes each of them.

Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290) takes β·log(π(y|x) / π_ref(y|x)) for an answer's
reward, with the base model as π_ref, and by Bradley and Terry P(first ≻ second) = σ(reward(first) − reward(second)).
"""

from __future__ import annotations

from dataclasses import dataclass

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ConfigError
from activelora.kinds.classification.task import Classification
from activelora.kinds.preference.kind import KIND, LABELS
from activelora.tasks.task import Query, Reading

_SYNONYMS = {"a": 0, "b": 1}


@dataclass(frozen=True)
class Preference(Classification):
    """Two answers in columns of their own, read by their log-likelihoods against the base model's.

    The prompt does not show them: each continues it. Exchanging an item's answers then exchanges their probabilities.
    """

    def __post_init__(self) -> None:
        """Refuse a prompt that shows what continues it."""
        for name in self.template.fields:
            if name in self._answer_columns:
                raise ConfigError(
                    f"the prompt shows {{{name}}}, one of the two answers, each of which continues it",
                    where="task.prompt",
                    remedy="Take it out: name what was asked alone.",
                )
            if name in ("labels", "choices"):
                raise ConfigError(
                    f"a preference task has no {{{name}}}", where="task.prompt", remedy="Name a column of your data."
                )

    @property
    def _answer_columns(self) -> tuple[str, str]:
        return self.config.first_answer, self.config.second_answer

    @property
    def reading(self) -> Reading:
        """By what the adapter adds to the likelihoods of all their tokens."""
        return "against_base"

    @property
    def description(self) -> str:
        """What the model does."""
        return "The model says which of two answers is better:"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the prompt names, and those of the two answers."""
        return (*self.template.fields, *self._answer_columns)

    def queries(self, item: Item) -> list[Query]:
        """Fill the prompt with the item's columns; its answers are the item's own."""
        answers = tuple(item.fields[name] for name in self._answer_columns)
        return [Query(self.template.fill(item.fields), self.template.closing, answers)]


def make(config: TaskConfig) -> Preference:
    """Return the task; in data, A and B mean the first and the second answer too."""
    return Preference(config, KIND, LABELS, _SYNONYMS)
