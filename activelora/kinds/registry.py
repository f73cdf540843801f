"""The kinds of tasks by name. Other packages add theirs as entry points of the group ``activelora.kinds``.

An entry point is a :class:`~activelora.tasks.task.Kind`; its module must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

from activelora.config import CampaignConfig, TaskConfig
from activelora.errors import ConfigError
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.evaluation.headline import Headline
from activelora.evaluation.primary import Primary, Wanted
from activelora.kinds.classification.kind import KIND as CLASSIFICATION
from activelora.kinds.generation.kind import KIND as GENERATION
from activelora.kinds.multi_label.kind import KIND as MULTI_LABEL
from activelora.kinds.multiple_choice.kind import KIND as MULTIPLE_CHOICE
from activelora.kinds.preference.kind import KIND as PREFERENCE
from activelora.kinds.regression.kind import KIND as REGRESSION
from activelora.kinds.yes_no.kind import KIND as YES_NO
from activelora.registry import Registry, call, unknown_names
from activelora.seeding import derive_seed
from activelora.tasks.task import LABELS_OR_NONE, Form, Kind, Task
from activelora.tasks.written import MAX_SHOWN, find_label
from activelora.uncertainty.measures import known_measures

if TYPE_CHECKING:
    from activelora.pool.label_table import Draft, Table

_KINDS = (
    CLASSIFICATION,
    YES_NO,
    MULTIPLE_CHOICE,
    MULTI_LABEL,
    REGRESSION,
    GENERATION,
    PREFERENCE,
)


def _mistakes(kind: Kind) -> Iterator[str]:
    """Yield what another package's kind declares and nothing knows."""
    if not isinstance(kind.headline, Headline):
        yield f"the headline of `{kind.name}` is no Headline, but {type(kind.headline).__name__}"
    for one in kind.primary:
        if not isinstance(one, Primary):
            yield f"a primary metric of `{kind.name}` is no Primary, but {type(one).__name__}"
    yield from unknown_names(kind, "measure", kind.measures, known_measures())
    yield from unknown_names(kind, "form", (kind.form,), get_args(Form))


KINDS: Registry[Kind] = Registry(
    key="task.kind",
    group="activelora.kinds",
    built_in={kind.name: kind for kind in _KINDS},
    check=lambda part: isinstance(part, Kind),
    mistakes=_mistakes,
)


def get_kind(name: str) -> Kind:
    """Return the kind that a campaign file names.

    Raises:
        ConfigError: There is none, with the nearest name; or its package cannot be loaded.
    """
    return KINDS.find(name)


def make_task(config: TaskConfig) -> Task:
    """Return the task of a campaign.

    Raises:
        ConfigError: There is no such kind, or prompt and answer form do not fit.
    """
    return get_kind(config.kind).make(config)


def draft_of(table: Table, kind: str | None = None) -> Draft:
    """Return what a campaign for a table would ask: see :func:`activelora.kinds.drafting.draft_of`."""
    from activelora.kinds.drafting import draft_of

    return draft_of(table, kind)


def headline_of(config: CampaignConfig) -> Headline:
    """Return by which number a campaign is judged first: `evaluation.primary`, or its kind's own.

    Raises:
        ConfigError: Its kind is not measured by that metric.
    """
    kind, settings = get_kind(config.task.kind), config.evaluation
    if settings.primary in (None, kind.headline.metric):
        return kind.headline
    for one in kind.primary:
        if one.metric == settings.primary:
            return one.headline(kind.headline, settings)
    names = ", ".join(f"`{name}`" for name in primary_names(kind))
    raise ConfigError(
        f"a {kind.name} task is not measured by `{settings.primary}`",
        where="evaluation.primary",
        remedy=f"Use one of {names}.",
    )


def primary_names(kind: Kind) -> tuple[str, ...]:
    """Return the metrics that campaigns of a kind can be judged by, its own headline first."""
    return tuple(dict.fromkeys((kind.headline.metric, *(one.metric for one in kind.primary))))


def wanted_of(config: CampaignConfig) -> Wanted:
    """Return what an evaluation measures beside the usual.

    Raises:
        ConfigError: The positive label is none of the labels.
    """
    settings, kind = config.evaluation, get_kind(config.task.kind)
    name, given = settings.primary, settings.positive_label
    positive = None
    if given is not None:
        listed = call(kind, "fixed_labels", kind.fixed_labels, config.task, gives=LABELS_OR_NONE)
        labels = tuple(listed or ())
        positive = find_label(labels, given)
        if positive is None:
            known = ", ".join(f"`{label}`" for label in labels[:MAX_SHOWN])
            raise ConfigError(
                f"{given!r} is none of the labels",
                where="evaluation.positive_label",
                remedy=f"Use one of {known}." if labels else f"Leave it out: a {kind.name} task has no such labels.",
            )
    metric = "" if name in (None, kind.headline.metric) else name or ""
    return Wanted(metric, positive, settings.beta, settings.required_precision)


def settings_of(config: CampaignConfig) -> EvaluationSettings:
    """Return how a campaign's models are measured, on its holdout and on any other labelled items.

    Raises:
        ConfigError: The positive label is none of the labels.
    """
    settings = config.evaluation
    return EvaluationSettings(
        num_bins=settings.num_bins,
        num_resamples=settings.bootstrap_samples,
        level=settings.confidence_level,
        seed=derive_seed(config.seed, "bootstrap"),
        label_names=make_task(config.task).label_names,
        wanted=wanted_of(config),
    )
