"""The `labeling.llm` section of a campaign file."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from activelora.config.section import Fraction, Positive, Section

Money = Annotated[float, Field(ge=0.0)]


class LLMPeopleConfig(Section):
    """Which items people label instead of the model. Their labels alone count for these items."""

    source: Literal["files", "terminal", "label_studio"] | None = None
    """Source where people label; None asks nobody. They are asked about every item that the model gives no usable
    answer to or passes over, or that the spending cap leaves over, and about what `share` and `below` add; all of
    it when the model is through with the round."""
    share: Fraction = 0.0
    """Part of all items that people label, drawn at random by the campaign's seed. The model's answers to them are paid
    and kept, so that they can be compared."""
    below: Fraction = 0.0
    """People label items of which a smaller part than this of the model's `votes` agrees on the label. Needs `votes` of
    2 or more; 1.0 asks them wherever its answers differ at all."""


class LLMConfig(Section):
    """A model as annotator, through an endpoint that speaks OpenAI's chat completions.

    Its token is read from the environment, ACTIVELORA_LLM_TOKEN; without one, none is sent. The texts of the selected
    items, but for fields that are withheld, leave for that endpoint.
    """

    url: str = ""
    """The endpoint's beginning, for example `https://api.openai.com/v1`; `/chat/completions` is added."""
    model: str = ""
    """Name of the model at the endpoint. Its labels are recorded as of annotator `llm:<model>`."""
    instructions: str = ""
    """Said to the model before the task: what the labels mean, and what to do in doubt."""
    votes: Positive = 1
    """How often each item is asked; the label with most votes wins, and a tie gives none. Costs as many requests.
    Answers differ only with a `temperature` above 0."""
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = 0.0
    """0 gives nearly the same answer every time."""
    max_answer_tokens: Positive = 64
    """The longest answer. Sent so that no answer can cost more than was reserved for it."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the endpoint calls that limit: OpenAI's newer models want `max_completion_tokens`."""
    price_in: Money | None = None
    """Price of a million tokens of questions, in any currency; 0 for a model of your own."""
    price_out: Money | None = None
    """Price of a million tokens of answers."""
    max_cost: Money | None = None
    """Spending cap over the whole campaign, in the currency of the prices. Before each request, a repeated one too, the
    most that it can cost is reserved, and it is sent only if the cap holds it; what a crash leaves unknown counts as
    spent. May be raised while the campaign runs."""
    max_requests: Positive = 100_000
    """Cap on the number of requests of the campaign, repeated ones included. May be raised while it runs."""
    timeout_seconds: Annotated[float, Field(gt=0.0, le=3600.0)] = 60.0
    """The longest that one request may take, with its answer. May be changed while the campaign runs."""
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    """How often a request is repeated in one tick after a time-out, a broken connection, 429 or 5xx; the next tick
    begins again. May be changed while the campaign runs."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests at a time. May be changed while the campaign runs."""
    people: LLMPeopleConfig = LLMPeopleConfig()
    """Which items people label instead."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("must be http:// or https://, a host and a path, without a query")
        if parts.username or parts.password:
            raise ValueError("must hold no user name or password: the token is ACTIVELORA_LLM_TOKEN")
        return url.rstrip("/")


CHANGEABLE = ("max_cost", "max_requests", "timeout_seconds", "retries", "concurrency")
"""What decides only when and whether the model answers, never what."""
