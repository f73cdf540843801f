"""The `labeling` section of a campaign file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from activelora.config_section import Fraction, Section


class LabelingConfig(Section):
    """Where labels come from, and how long to wait for them."""

    source: str = "oracle"
    """`oracle`: the pool's own gold labels (simulation). `files`: people fill CSV or JSONL files."""
    oracle_error_rate: Fraction = 0.0
    """For `oracle`: share of answers that are wrong, to simulate noisy annotators."""
    inbox: str | None = None
    """For `files`: folder or `s3://` prefix where filled files arrive; a relative one starts at
    `data.folder`. None is `inbox/` in the campaign."""
    min_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the batch that must be labelled for the round to be done before its deadline."""
    deadline_hours: Annotated[float, Field(gt=0.0)] | None = None
    """Counted from the selection. None waits without end (holding nothing: each tick looks once)."""
    on_deadline: Literal["proceed", "wait", "stop"] = "proceed"
    """At the deadline: go on with the labels that are there, keep waiting, or stop the campaign."""
    wait_minutes: Annotated[float, Field(ge=0.0)] = 0.0
    """How long one run stays and polls before it leaves the wait to the next tick. May be changed while the
    campaign runs."""
    poll_seconds: Annotated[float, Field(gt=0.0)] = 30.0
    """Time between two looks while a run waits. May be changed while the campaign runs."""
