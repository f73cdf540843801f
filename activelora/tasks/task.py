"""What a task and its kind are, for everything that does not care which one.

A :class:`Kind` says once, for all campaigns, what goes with a kind of task; a :class:`Task` is one campaign's question.
Every kind is a folder of :mod:`activelora.kinds`; modules below that ask the two protocols here and know no kind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from numbers import Integral, Real
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import pyarrow as pa

from activelora.campaign.records import Item, Label
from activelora.registry import call, guard, unguarded

if TYPE_CHECKING:
    from activelora.config import TaskConfig
    from activelora.evaluation.headline import Headline
    from activelora.evaluation.judges import Judge, WrittenJudge
    from activelora.evaluation.primary import Primary

Form = Literal["choice", "number", "set", "text"]
"""How annotators answer: people at a keyboard, in files or in Label Studio, and models. ``choice``: by one of the
labels or choices. ``number``: by a number of a range. ``set``: by any number of labels. ``text``: by a text of their
own."""
Reading = Literal["first_token", "mean_of_tokens", "as_far_as_differs", "all_tokens", "written", "against_base"]
"""How the model's answers are read. ``first_token``: the logit of an answer's first token. ``mean_of_tokens``: the
length-normalised log-likelihood of its text. ``as_far_as_differs``: the log-likelihood of its tokens, as far as they
tell it from all others. ``all_tokens``: that of all its tokens, for answers that all items share. ``written``: the
model writes. ``against_base``: what the adapter adds to the log-likelihood of all tokens of the item's own answers,
times ``task.beta``; trained by which of two is better."""


@dataclass(frozen=True)
class Query:
    """What the model is asked about one item.

    Attributes:
        prompt: The filled template, without the answer.
        closing: The template's literal words after its last column: cutting a long prompt never cuts these.
        answers: The text of every possible answer, C of them.
    """

    prompt: str
    closing: str
    answers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of task as the registry knows it. Importable without torch.

    What is left out is as in a task whose items have one right answer out of several of their own.

    Attributes:
        name: Its name, as written in the campaign file.
        summary: What an answer is, in one line.
        implementation: What makes a :class:`Task` of the settings, ``module:attribute``; imported when it is needed.
        judge: What makes a judge (:mod:`activelora.evaluation.judges`) of the task, ``module:attribute``.
        headline: The metric that the kind is judged by first, and those beside it.
        primary: Other metrics that `evaluation.primary` may name; its judge measures them, with intervals.
        measures: The uncertainty measures that score_pool computes.
        single_sample_measures: Those whose name stands for disagreement elsewhere, and that one sample has here too.
        form: How an answer is given.
        needs_choices: Whether every item brings its own choices.
        one_answer: Whether a prediction is one distribution over answers that exclude each other. Then strategies may
            look at it, mistakes can be simulated, and annotators can be shown the most probable answer.
        one_softmax: Whether that distribution is one softmax over the scores of single answers, as gradients and
            curvatures of it take for granted.
        compares_answers: Whether a label says which of the item's two answers is better. It is learned by DPO, and the
            answers are read ``against_base``: both need the base model beside the adapter.
        writes: Whether the model writes its answer. Labels are then texts.
        asks_each_label: Whether the model is asked one question about each label.
        draws_by_label: Whether holdouts are drawn with each label's share, and large pools read by columns: labels are
            few, and each is a number that a data file writes in a few ways.
        checks_exploration: Whether the most probable answer is right or wrong, so that random draws can be counted.
        corrects_prior: Whether ``task.label_prior_correction`` applies.
        has_temperature: Whether a temperature can be fitted on a calibration split.
        gates: The conditions of ``evaluation.gates`` whose metrics are measured: ``min_`` or ``max_`` and the metric.
        targets: The settings of ``stopping`` whose metrics are measured.
        aggregations: Values of ``labeling.aggregation`` beside `majority` that can combine its labels.
        gold_questions: Whether an answer is plainly right or wrong, so that annotators can be measured by it.
        agreement: The level of measurement of its labels, for annotators' agreement.
        blank_is_answer: Whether an empty cell is a label.
        numbered: Whether labels have numbers in data files by their place in the list, as `data.label_numbers` says.
            Other kinds read numbers by their own rules.
        fields: Fields of the section ``task`` that not every kind has, and this one does.
        answers: Values of ``task.answer``.
        reworded: Returns the answers that ``task.answer_words`` may give other words; None where there are no words.
        fixed_labels: Returns the labels that all items have, of which one is right; None where there are none.
        asks: Returns what annotators are asked beside the prompt, in words; nothing where the prompt is the question.
        refusal: Returns why the settings of ``task`` cannot be, in words, or None.
    """

    name: str
    summary: str
    implementation: str
    judge: str
    headline: Headline
    measures: tuple[str, ...]
    primary: tuple[Primary, ...] = ()
    single_sample_measures: frozenset[str] = frozenset()
    form: Form = "choice"
    needs_choices: bool = False
    one_answer: bool = True
    one_softmax: bool = True
    compares_answers: bool = False
    writes: bool = False
    asks_each_label: bool = False
    draws_by_label: bool = True
    checks_exploration: bool = True
    corrects_prior: bool = True
    has_temperature: bool = True
    gates: tuple[str, ...] = ("min_accuracy", "max_ece")
    targets: tuple[str, ...] = ("target_accuracy", "target_ece", "plateau_rounds")
    aggregations: tuple[str, ...] = ()
    gold_questions: bool = True
    agreement: Literal["nominal", "interval"] = "nominal"
    blank_is_answer: bool = False
    numbered: bool = False
    fields: tuple[str, ...] = ()
    answers: tuple[str, ...] = ("words",)
    reworded: Callable[[TaskConfig], tuple[str, ...] | None] = lambda config: ()
    fixed_labels: Callable[[TaskConfig], tuple[str, ...] | None] = lambda config: None
    asks: Callable[[TaskConfig], str] = lambda config: ""
    refusal: Callable[[TaskConfig], str | None] = lambda config: None

    def asked_beside(self, config: TaskConfig) -> str:
        """Return what annotators are asked beside the prompt: :attr:`asks`."""
        return call(self, "asks", self.asks, config, gives=str)

    def question(self, config: TaskConfig) -> str:
        """Return what annotators are asked about an item: the prompt's template, and what :attr:`asks` adds to it."""
        beside = self.asked_beside(config)
        return f"{config.prompt.strip()}\n\n{beside}" if beside else config.prompt

    @property
    def lists_labels(self) -> bool:
        """Whether an answer is picked from a list, and not typed."""
        return self.form in ("choice", "set")

    @property
    def takes_several(self) -> bool:
        """Whether an answer may be several of the labels, or none."""
        return self.form == "set"

    def make(self, config: TaskConfig) -> Task:
        """Return the task that the settings describe.

        Raises:
            ConfigError: Prompt and answer form do not fit.
        """
        made = call(self, "implementation", lambda: _load(self.implementation)(config), gives=object)
        return cast("Task", guard(self, made, _TASK))

    def judge_of(self, task: Task) -> Judge:
        """Return what measures the task's predictions, where they have a distribution."""
        return cast("Judge", self._judge(task, _JUDGE))

    def written_judge_of(self, task: Task) -> WrittenJudge:
        """Return what measures the answers that the model writes."""
        return cast("WrittenJudge", self._judge(task, {"evaluate": tuple, "means_the_same": bool}))

    def _judge(self, task: Task, gives: Mapping[str, type | tuple[type, ...]]) -> object:
        made = call(self, "judge", lambda: _load(self.judge)(unguarded(task)), gives=object)
        return guard(self, made, gives)


def _load(path: str) -> Callable[..., object]:
    module, _, attribute = path.partition(":")
    return cast("Callable[..., object]", getattr(import_module(module), attribute))


class Task(Protocol):
    """One campaign's question. A label is the index into :attr:`Query.answers`, unless the kind says otherwise."""

    @property
    def kind(self) -> Kind:
        """What it is an example of."""

    @property
    def reading(self) -> Reading:
        """How the model's answers are read."""

    @property
    def description(self) -> str:
        """What the model does, as a sentence for the report; it ends in a colon where labels are listed after it."""

    @property
    def label_hint(self) -> str | None:
        """What an annotator may write, where that is not simply one of the labels or choices."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels; empty where every item has its own choices."""

    @property
    def values(self) -> tuple[float, ...] | None:
        """The numbers that the answers stand for, C of them, ascending; None where they are no numbers."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the prompt names."""

    def queries(self, item: Item) -> list[Query]:
        """Return the questions for an item: one, or one about each label."""

    def targets(self, label: Any) -> list[int]:
        """Return which answer a labelled item teaches, for each of its questions: an index into its answers."""

    def parse_label(self, raw: object, item: Item) -> Label:
        """Return the label that a data file or a person wrote.

        Raises:
            LabelError: It is none of the task's labels; the message names those.
        """

    def is_rounded(self, raw: object) -> bool:
        """Tell whether a label that :meth:`parse_label` accepts was taken for another one near by."""

    def label_name(self, label: Any, item: Item) -> str:
        """Return a label as people read and write it."""

    def written_label(self, label: Any, item: Item) -> str | int | list[str]:
        """Return a label so that :meth:`parse_label` reads exactly it."""

    def label_counts(self, counts: Mapping[Any, int]) -> dict[str, int]:
        """Return how many items have each label, by name, from counts by label; nothing where labels cannot be counted.

        Of tasks whose items have their own choices, by number.
        """

    def missing_labels(self, counts: Mapping[Any, int]) -> list[str]:
        """Return the labels that no item has; none where labels cannot be counted."""


_TASK: Mapping[str, type | tuple[type, ...]] = {
    "kind": Kind,
    "reading": str,
    "description": str,
    "label_names": Collection,
    "columns": Collection,
    "queries": Sequence,
    "targets": Sequence,
    "parse_label": (int, str, Integral),
    "is_rounded": object,
    "label_name": str,
    "written_label": (str, int, list),
    "label_counts": Mapping,
    "missing_labels": Collection,
}
_JUDGE: Mapping[str, type | tuple[type, ...]] = {
    "evaluate": dict,
    "evaluate_scaled": dict,
    "fit_temperature": Real,
    "predictions": pa.Table,
    "conformal": tuple,
    "outcomes": (tuple, NoneType),
}
"""What another package's task and judge must return."""
LABELS_OR_NONE = (tuple, list, NoneType)
"""What its kind's ``fixed_labels`` and ``reworded`` must return."""
