"""Which settings go with which adapter method."""

from __future__ import annotations

from collections.abc import Iterator

from activelora.config import AdapterConfig, CampaignConfig
from activelora.config.conflict import Conflict
from activelora.kinds.registry import get_kind


def needs_dropout(config: AdapterConfig) -> Conflict | None:
    """Return why Monte-Carlo dropout samples cannot differ, or None."""
    if config.dropout > 0:
        return None
    return Conflict("adapter.dropout", "without dropout all samples are the same", "Set it above 0 (0.1 is usual)")


def needs_width(config: AdapterConfig) -> Conflict | None:
    """Return why samples of no width cannot differ, or None."""
    if config.tfb.std != 0:
        return None
    return Conflict("adapter.tfb.std", "with a width of 0 all samples are the same", "Set it above 0, or leave it out")


def weight_samples(config: CampaignConfig) -> Iterator[Conflict]:
    """Refuse a fresh dropout mask for every token where samples are no dropout masks."""
    if config.scoring.mask == "token":
        yield Conflict(
            "scoring.mask",
            f"`token` masks belong to adapter.method `lora`, and it is `{config.adapter.method}`",
            "Leave it out.",
        )


def ensemble(config: CampaignConfig) -> Iterator[Conflict]:
    """Refuse what has no meaning for independently trained members."""
    yield from weight_samples(config)
    if get_kind(config.task.kind).writes:
        yield _no_task(config, "its members each write another text")
    if config.scoring.two_stage is not None:
        yield Conflict(
            "scoring.two_stage",
            "an ensemble's prediction without sampling runs all its members, so that the first stage saves nothing",
            "Leave it out, or choose another adapter.method.",
        )


def laplace(config: CampaignConfig) -> Iterator[Conflict]:
    """Refuse tasks whose predictive distribution is not one softmax over the answers' scores."""
    yield from weight_samples(config)
    if not get_kind(config.task.kind).one_softmax:
        yield _no_task(config, "it linearises the scores of one answer among several")
    settings = config.adapter.laplace
    if settings.prior_precision is None and settings.prior_from == "held_out" and config.acquisition.batch_size < 2:
        yield Conflict(
            "adapter.laplace.prior_from",
            "`held_out` holds some labels out, and `acquisition.batch_size` is 1",
            "Ask for 2 labels a round or more, or set `adapter.laplace.prior_precision`.",
        )
    if config.training.soft_labels:
        problem = "the curvature of `laplace` is that of one label an item"
        yield Conflict("training.soft_labels", problem, "Set it to false, or choose another adapter.method.")
    yield from _own_answers(config)


def tfb(config: CampaignConfig) -> Iterator[Conflict]:
    """Refuse a search of no range, and labels that count in part, which the loss on anchors does not know."""
    yield from weight_samples(config)
    settings = config.adapter.tfb
    if settings.std is None and settings.narrowest >= settings.widest:
        yield Conflict(
            "adapter.tfb.narrowest",
            f"{settings.narrowest:g} is not below `adapter.tfb.widest`, {settings.widest:g}",
            "Set it below, or set `adapter.tfb.std`.",
        )
    if config.training.soft_labels:
        problem = "the anchors of `tfb` have one label an item"
        yield Conflict("training.soft_labels", problem, "Set it to false, or choose another adapter.method.")
    yield from _own_answers(config)


def c_lora(config: CampaignConfig) -> Iterator[Conflict]:
    """Refuse noise that belongs to a text where texts are packed."""
    yield from weight_samples(config)
    if config.training.packing:
        yield Conflict("training.packing", "C-LoRA's noise belongs to a text, not to shared words", "Set it to false.")


def _own_answers(config: CampaignConfig) -> Iterator[Conflict]:
    """Refuse a model's own answers where the width of its posterior is chosen by them."""
    if config.training.self_training is not None:
        problem = f"`{config.adapter.method}` takes every answer that it is trained on for a person's"
        yield Conflict("training.self_training", problem, "Leave it out, or choose another adapter.method.")


def _no_task(config: CampaignConfig, why: str) -> Conflict:
    method, kind = config.adapter.method, config.task.kind
    return Conflict("adapter.method", f"`{method}` does not serve a {kind} task: {why}", "Choose `lora` or `blob`.")
