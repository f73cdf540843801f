"""The `labeling` section of a campaign file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from activelora.config.label_studio import LabelStudioConfig
from activelora.config.llm import LLMConfig
from activelora.config.section import Fraction, Positive, Section

Hours = Annotated[float, Field(gt=0.0)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
AggregationRule = Literal["majority", "median", "dawid_skene", "one_coin"]
SkippedRule = Literal["never", "return", "adjudicate"]


class LabelingConfig(Section):
    """Where labels come from, and how long to wait for them."""

    source: str = "oracle"
    """`oracle`: the pool's own gold labels (simulation). `files`: people fill CSV or JSONL files.
    `terminal`: people label with the keyboard (`activelora label`, which campaigns with `files` count too).
    `label_studio`: people label in a Label Studio project, see `label_studio`. `llm`: a model behind an endpoint, mixed
    with people by rule (`labeling.llm`)."""
    oracle_error_rate: Fraction = 0.0
    """Share of wrong answers of `oracle`, to simulate noisy annotators. Every wrong label is equally likely;
    `oracle_confusion` says which are."""
    oracle_confusion: dict[str, dict[str, Fraction]] | tuple[tuple[Fraction, ...], ...] | None = None
    """Probabilities of the answers of `oracle`, instead of `oracle_error_rate`. A mapping from the gold label to the
    probability of each answer, `{spam: {spam: 0.8, ham: 0.2}}`, where labels that are left out are answered
    rightly; or a square list of rows in the order of `task.labels`. Each row sums to 1."""
    inbox: str | None = None
    """Folder or `s3://` prefix where filled files arrive, for `files`; a relative one starts at `data.folder`.
    None is `inbox/` in the campaign."""
    withhold: tuple[str, ...] = ()
    """Fields of the prompt whose text annotators, a model too, do not get; they see [withheld]. `source_id` is your own
    id. The model that is trained learns from the whole text all the same."""
    redact: tuple[str, ...] = ()
    """Regular expressions; what they match in texts and in your own id annotators see as [redacted]: for example
    `[\\w.+-]+@[\\w-]+\\.[\\w.]+` for mail addresses. A choice is never redacted, so that multiple choice refuses it."""
    show_reasons: bool = False
    """Show annotators why the strategy selected each item. Reasons name the answers that the model takes for likely,
    and people tend to accept what they see; unless set, they are in the selection and the report only. Not with
    `gold_questions`, which have none."""
    annotators_per_item: Positive = 1
    """How many people shall answer each item. An item is done when that many different annotators have labelled it or
    passed it over, and the majority of the labels decides. A round that ends before that, by `min_fraction` or at the
    deadline, takes the answers that are there, where they decide. For `oracle`: that many simulated annotators, who
    make their mistakes independently."""
    label_studio: LabelStudioConfig = LabelStudioConfig()
    """Server of `label_studio`, and what annotators see there."""
    aggregation: AggregationRule = "majority"
    """How several annotators' labels become one. `majority`. `median`: of numbers (regression); of an even number of
    annotators the mean of the middle two. `dawid_skene`: annotators are believed as far as they agree with the others,
    by a confusion matrix for each, estimated from all votes of the campaign (classification, yes or no); it needs some
    dozens of answers each. `one_coin`: the same with one number for each, how often they are right. Where annotators
    are weighed, a tie decides too; what all of an item's annotators said always wins."""
    min_agreement: Fraction = 0.0
    """Share of an item's labels that the winning one needs: with 0.75, two against one do not decide, and the item
    goes to an adjudicator. A tie never decides."""
    adjudicators: tuple[Name, ...] = ()
    """Names, as annotators write them, whose answers overrule those of others. Items that the annotators could not
    decide wait for one of them, and stay out of the pool until then."""
    skipped: SkippedRule = "never"
    """What becomes of an item that everybody asked has passed over. `never`: it is not asked for again. `return`: it
    goes back to the pool, and a new answer is wanted if it is selected again. `adjudicate`: it waits for an
    adjudicator. What an adjudicator passes over is skipped."""
    gold_questions: Annotated[int, Field(ge=0)] = 0
    """Number of holdout items, whose labels are known, that are asked for among each round's others, to measure each
    annotator. Their answers are never trained on. For sources where people answer. When all have been asked for they
    come again; then only answers that are dated after the round began are counted."""
    min_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the batch that must be labelled for the round to be done before its deadline."""
    deadline_hours: Hours | None = None
    """Hours until the deadline, from the selection. None waits without end (holding nothing: each tick looks once)."""
    on_deadline: Literal["proceed", "extend", "stop", "wait"] = "proceed"
    """Action at the deadline: `proceed` with the labels that are there; `extend` it once, then proceed; `stop` the
    campaign, which keeps the labels; or `wait` on."""
    deadline_extension_hours: Hours | None = None
    """Hours that `extend` adds. None is the same time again."""
    remind_hours: tuple[Hours, ...] = ()
    """Hours before the deadline at which the webhook in `ACTIVELORA_WEBHOOK_URL` is told what the round waits for, for
    example `[24, 2]`. Each at most once a round; a webhook that fails stops nothing. May be changed while
    the campaign runs."""
    wait_minutes: Annotated[float, Field(ge=0.0)] = 0.0
    """How long one run stays and polls before it leaves the wait to the next tick. May be changed while the
    campaign runs."""
    llm: LLMConfig = LLMConfig()
    """Model of `llm`, its price and cap, and which items people label instead."""
    poll_seconds: Annotated[float, Field(gt=0.0)] = 30.0
    """Time between two looks while a run waits. May be changed while the campaign runs."""

    @field_validator("redact")
    @classmethod
    def _check_redact(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        check_patterns(patterns)
        return patterns


def check_patterns(patterns: Sequence[str]) -> None:
    """Refuse what is no regular expression, or matches everywhere.

    Raises:
        ValueError: One is.
    """
    for pattern in patterns:
        try:
            matches_nothing = re.compile(pattern).search("")
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"{pattern[:60]!r} is no regular expression: {error}") from None
        if matches_nothing:
            raise ValueError(f"{pattern[:60]!r} matches the empty text, which is everywhere")


SUM_TOLERANCE = 1e-6
"""How far a row of `oracle_confusion` may be from 1: decimal fractions such as 1/3 cannot be written exactly."""


def confusion_matrix(
    confusion: dict[str, dict[str, float]] | tuple[tuple[float, ...], ...], labels: Sequence[str]
) -> list[list[float]]:
    """Return `oracle_confusion` as rows: row i, column j is P(answer j | gold label i), C × C.

    Args:
        confusion: The setting.
        labels: The task's C labels, in their order. Upper and lower case count as the same.

    Raises:
        ValueError: A name is no label or given twice, a row does not sum to 1, or the shape is not C × C.
    """
    rows = _named_rows(confusion, labels) if isinstance(confusion, dict) else [list(row) for row in confusion]
    size = len(labels)
    if len(rows) != size or any(len(row) != size for row in rows):
        shape = f"{len(rows)} rows of {', '.join(str(n) for n in sorted({len(row) for row in rows})) or 'no'}"
        raise ValueError(f"it has {shape} probabilities, and the task's {size} labels need {size} rows of {size}")
    for label, row in zip(labels, rows, strict=True):
        if abs(sum(row) - 1.0) > SUM_TOLERANCE:
            raise ValueError(f"the probabilities of the answers to `{label}` sum to {sum(row):.6g}, and must sum to 1")
    return rows


def _named_rows(confusion: dict[str, dict[str, float]], labels: Sequence[str]) -> list[list[float]]:
    indices = {label.strip().casefold(): index for index, label in enumerate(labels)}

    def index_of(name: str, seen: set[int]) -> int:
        index = indices.get(name.strip().casefold())
        if index is None:
            shown = ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
            raise ValueError(f"`{name[:80]}` is not a label of the task; it has: {shown}")
        if index in seen:
            raise ValueError(f"`{labels[index]}` is named twice")
        seen.add(index)
        return index

    rows = [[float(row == column) for column in range(len(labels))] for row in range(len(labels))]
    seen: set[int] = set()
    for name, answers in confusion.items():
        row, named = [0.0] * len(labels), set[int]()
        for answer, probability in answers.items():
            row[index_of(answer, named)] = probability
        rows[index_of(name, seen)] = row
    return rows
