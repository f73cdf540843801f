"""The first campaign's file, as a person would write it: every section with its reasons beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from activelora.quantities import quantity
from pipelines.cli.yaml_lines import comment, setting

if TYPE_CHECKING:
    from pipelines.cli.first_campaign import FirstCampaign

_PROMPT_TOKENS = 40
"""Tokens of the prompt's own words, about."""
_DEFAULT_LIMIT, _MAX_LIMIT = 512, 2048


def campaign_text(made: FirstCampaign) -> str:
    """Return the campaign file."""
    parts = (_heading, _task, _data, _model, _acquisition, _labeling, _stopping)
    return "\n\n".join("\n".join(part(made)) for part in parts) + "\n"


def _heading(made: FirstCampaign) -> Iterator[str]:
    yield "# yaml-language-server: $schema=campaign.schema.json"
    yield from comment("Made by `activelora init --data`. What it found, and what follows from it:")
    for fact in made.facts():
        yield from comment(f"- {fact}.", after="  ")
    for warning in made.warnings:
        yield from comment(f"- Look at this: {warning}.", after="  ")
    yield from comment("Every setting is described in the schema beside this file; `activelora check` finds mistakes.")
    yield f"name: {made.name}"
    yield "seed: 0"


def _task(made: FirstCampaign) -> Iterator[str]:
    yield "task:"
    yield from setting("kind", made.draft.kind, made.draft.reason, 2)
    for line in made.draft.lines:
        yield from setting(line.key, line.value, line.reason, 2)
    yield from setting(
        "chat_template", "never", "shorter prompts, so faster; `auto` for large instruction-tuned models", 2
    )
    if (limit := _limit(made.tokens)) != _DEFAULT_LIMIT:
        why = f"99 of 100 items have up to {made.tokens[1]} tokens; longer ones are cut. More is slower"
        yield from setting("max_prompt_tokens", limit, why, 2)


def _data(made: FirstCampaign) -> Iterator[str]:
    sizes = made.sizes
    yield "data:"
    yield "  pool:"
    yield from setting("path", made.data, "relative to this file; also a folder, a glob or s3://...", 4)
    yield "  columns:"
    if made.own_id is not None:
        yield from setting("id", made.own_id, "your own ids are kept: each row has another one", 4)
    yield from setting("label", made.label, made.columns.label.reason, 4)
    if made.columns.choices is not None:
        yield from setting("choices", made.columns.choices.name, "a list of texts in every row", 4)
    yield from setting("holdout_size", sizes.holdout, sizes.holdout_reason, 2)
    yield from setting("calibration_size", sizes.calibration, sizes.calibration_reason, 2)
    if made.texts.num_contradicted:
        texts = quantity(made.texts.num_contradicted, "text stands", "texts stand")
        why = f"{texts} in several rows with different labels: `drop` leaves them out, `refuse` names them"
        yield from setting("contradictions", "drop", why, 2)
    if not sizes.is_simulation:
        rows = quantity(sizes.known, "labelled row that is left is", "labelled rows that are left are")
        why = f"the {rows} trained on first; or holdout, ignore"
        yield from setting("known_labels", "train", why, 2)


def _model(made: FirstCampaign) -> Iterator[str]:
    yield "model:"
    why = "built in, fetched once (93 MB); or a local folder, or a Hugging Face hub id"
    yield from setting("base", "smollm2-135m-instruct", why, 2)
    yield ""
    yield "adapter:"
    yield "  rank: 8"
    yield from setting("last_layers", 10, "adapts the top layers only: about three times as fast on a CPU", 2)


def _labeling(made: FirstCampaign) -> Iterator[str]:
    yield "labeling:"
    if made.sizes.is_simulation:
        why = "the table's own labels answer: a simulation of people, to see what fewer labels would have done"
        yield from setting("source", "oracle", why, 2)
        yield from comment("With rows that have no label yet, people answer:", 2)
        yield from comment("source: files", 2)
    else:
        why = "people fill in worksheets (CSV), or answer with the keyboard: `activelora label`; also label_studio"
        yield from setting("source", "files", why, 2)
        yield from comment("deadline_hours: 72", 2)
        yield from comment("on_deadline: proceed", 2)


def _stopping(made: FirstCampaign) -> Iterator[str]:
    yield "stopping:"
    why = "times acquisition.batch_size is the label budget, which `activelora check` tells"
    yield from setting("max_rounds", made.sizes.rounds, why, 2)


def _acquisition(made: FirstCampaign) -> Iterator[str]:
    yield "acquisition:"
    for key, value, why in _draws(made):
        yield from setting(key, value, why, 2)


def _draws(made: FirstCampaign) -> Iterator[tuple[str, object, str]]:
    from activelora.config import AcquisitionConfig
    from activelora.kinds.registry import get_kind

    kind = get_kind(made.draft.kind)
    yield "strategy", "star", "`activelora list strategies` names the others; `random` is the control"
    default = AcquisitionConfig().measure
    if default not in kind.measures:
        yield "measure", kind.measures[0], "what star goes by; `activelora list measures` names the others"
    yield "batch_size", made.sizes.batch, "items that a round asks for"


def _limit(tokens: tuple[int, int, int, bool]) -> int:
    """Return `task.max_prompt_tokens`: the default, unless more than one in a hundred would be cut."""
    needed = tokens[1] + _PROMPT_TOKENS
    return _DEFAULT_LIMIT if needed <= _DEFAULT_LIMIT else min(_MAX_LIMIT, -(-needed // 128) * 128)
