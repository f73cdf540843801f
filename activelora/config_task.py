"""The `task` section of a campaign file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from activelora.config_section import Section


class TaskConfig(Section):
    """What is asked of the model, and what it may answer."""

    kind: Literal["classification", "yes_no", "multiple_choice"] = "classification"
    """`classification`: one of `labels`. `yes_no`: yes or no. `multiple_choice`: one of the item's own
    choices."""
    prompt: str
    """The question as the model sees it. `{column}` is replaced by that column of the item, `{labels}` by
    the list of labels, `{choices}` by the item's lettered choices. Write `{{` for a brace. Nothing in it is
    executed."""
    labels: tuple[str, ...] = ()
    """The labels, for `classification`. The order is the order of label numbers in data files."""
    answer: Literal["letters", "words", "text"] = "words"
    """How the model answers. `letters`: A, B, C (the prompt must show `{labels}` or `{choices}`); `words`:
    the label itself, or its entry in `answer_words`; `text`: the likelihood of each choice's text, for
    `multiple_choice` (small models stay at chance on letters)."""
    answer_words: dict[str, str] = Field(default={})
    """For `answer: words`: a short word for a label, where the label itself is long or shares its
    beginning."""
    chat_template: Literal["auto", "always", "never"] = "auto"
    """`auto` wraps the prompt in the model's chat template where it has one. `never` is faster: templates
    often add 30 tokens to every item."""
    label_prior_correction: Literal["cold_start", "always", "never"] = "cold_start"
    """Divide each label's probability by its mean over the pool: an untrained model answers from its prior.
    `cold_start` does so in round 0 only. Not used for multiple choice by text."""
    max_prompt_tokens: Annotated[int, Field(ge=16)] = 512
    """Longer prompts are cut at the end of their last column, never in the closing words. Cuts are
    counted."""

    @model_validator(mode="after")
    def _check(self) -> TaskConfig:
        if self.kind == "classification":
            if len(self.labels) < 2:
                raise ValueError("a classification task needs at least two `labels`")
            if self.answer == "text":
                raise ValueError("`answer: text` is for multiple_choice; use `words` or `letters`")
        elif self.labels:
            raise ValueError(f"`labels` belong to classification only; a {self.kind} task brings its own")
        if self.kind == "multiple_choice" and self.answer == "words":
            raise ValueError("a multiple_choice task answers by `letters` or by `text`")
        if self.kind == "yes_no" and self.answer != "words":
            raise ValueError("a yes_no task answers by `words`")
        names = [label.strip().casefold() for label in self.labels]
        if len(set(names)) < len(names) or "" in names:
            raise ValueError("`labels` must be different and not empty (upper and lower case count as the same)")
        if not self.prompt.strip():
            raise ValueError("`prompt` is empty")
        if self.answer_words and self.answer != "words":
            raise ValueError(f"`answer_words` are for `answer: words`, and it is `{self.answer}`")
        if unknown := sorted(set(self.answer_words) - set(self.labels or ("yes", "no"))):
            raise ValueError(f"`answer_words` names no label of the task: {', '.join(unknown)}")
        return self
