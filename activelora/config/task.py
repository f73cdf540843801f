"""The `task` section of a campaign file."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, field_validator

from activelora.config.section import Positive, Section


class TaskConfig(Section):
    """What is asked of the model, and what it may answer."""

    kind: str = "classification"
    """`classification`: one of `labels`. `yes_no`: yes or no. `multiple_choice`: one of the item's own
    choices. `multi_label`: any number of `labels`; the prompt names `{label}`, and the model says yes or no
    to each; scoring runs what stands before `{label}` once for all of them. `regression`: a number between
    `minimum` and `maximum`. `generation`: a text that the model writes itself, such as a worked solution.
    `preference`: which of the item's two answers is better, trained by direct preference optimisation (DPO). Other
    packages may bring more."""
    prompt: str
    """The question as the model sees it. `{column}` is replaced by that column of the item, `{labels}` by
    the list of labels, `{choices}` by the item's lettered choices. Write `{{` for a brace. Nothing in it is
    executed."""
    labels: tuple[str, ...] = ()
    """The labels, for `classification` and `multi_label`. Their order is that of `data.label_numbers`."""
    answer: Literal["letters", "words", "text"] = "words"
    """How the model answers. `letters`: A, B, C (the prompt must show `{labels}` or `{choices}`); `words`:
    the label itself, or its entry in `answer_words`, told by its first token; `text`: for `classification`, the
    same words by as many tokens as tell them apart, for labels that begin alike: what labels share is run once an
    item, in addition to the prompt; for `multiple_choice`, the mean log-likelihood of each choice's tokens (small
    models stay at chance on letters)."""
    answer_words: dict[str, str] = Field(default={})
    """Other words for a label, for `answer: words`, and `text` in `classification`, where the label itself is
    long, shares its beginning, or is no plain language, such as `pin_change`."""
    minimum: float | None = None
    """Smallest answer of `regression`. A label outside `minimum` and `maximum` is an error."""
    maximum: float | None = None
    """Largest answer of `regression`."""
    step: Annotated[float, Field(gt=0.0)] = 1.0
    """Step between answers of `regression`: minimum, minimum + step, ... maximum, at most 1001 values; a label in
    between is rounded. Few values, each one token (such as 1 to 5), are fastest: a grid of 0 to 100 costs
    about nine passes an item."""
    max_answer_tokens: Positive = 256
    """Most tokens of the model's own answer in `generation`; it is cut there. Gold answers are learned whole."""
    extract: str | None = None
    """Regular expression, for `generation`, whose last match in an answer is what is compared (its first group, if it
    has one). None takes what comes after `####`, else the last number, else the whole text. Numbers are
    compared as numbers, other text without regard to case and white space."""
    reduction: Literal["sum", "mean"] = "sum"
    """Uncertainty of a `generation`: the `sum` over the answer's tokens, or their `mean`."""
    first_answer: str = "first"
    """Column of the first of the two answers of a `preference`. The prompt does not show it, as it
    continues the prompt."""
    second_answer: str = "second"
    """Column of the second of the two answers of a `preference`."""
    beta: Annotated[float, Field(gt=0.0)] = 0.1
    """DPO's β, for `preference`: an answer's reward is β times what the adapter adds to the log-likelihood of all its
    tokens. The larger it is, the sooner a training stops to move away from the base model."""
    chat_template: Literal["auto", "always", "never"] = "auto"
    """`auto` wraps the prompt in the model's chat template where it has one. `never` is faster: templates
    often add 30 tokens to every item."""
    chat_date: date = date(2024, 7, 26)
    """What a chat template that writes today's date is told. Fixed, so that a prompt is the same tomorrow and on every
    machine."""
    special_tokens_in_text: Literal["text", "special"] = "text"
    """Special tokens that an item's text spells out, such as `<|im_end|>` or `</s>`. `text`: they are letters like any
    others. `special`: they act as the model's own, so that a text can end the user's message. Those of the
    chat template and of `prompt` itself are always special."""
    allow_label_in_prompt: bool = False
    """Whether `prompt` may name the column of gold labels (`data.columns.label`), which gives the answer away."""
    label_prior_correction: Literal["cold_start", "always", "never"] = "cold_start"
    """Divide each label's probability by its mean over the pool: an untrained model answers from its prior.
    `cold_start` does so in round 0 only, and not where one label is more than 80 % of the holdout and calibration
    split: there the mean is the labels' true share. Used for classification, yes/no and multiple choice by letters."""
    max_prompt_tokens: Annotated[int, Field(ge=16)] = 512
    """Longer prompts are cut at the end of their last column, never in the closing words. Cuts are
    counted."""

    @field_validator("labels")
    @classmethod
    def _differ(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        names = [label.strip().casefold() for label in labels]
        if len(set(names)) < len(names) or "" in names:
            raise ValueError("`labels` must be different and not empty (upper and lower case count as the same)")
        return labels

    @field_validator("prompt")
    @classmethod
    def _asks(cls, prompt: str) -> str:
        if not prompt.strip():
            raise ValueError("`prompt` is empty")
        return prompt

    @field_validator("extract")
    @classmethod
    def _compiles(cls, extract: str | None) -> str | None:
        try:
            re.compile(extract or "")
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"`extract` is no regular expression: {error}") from None
        return extract
