"""How what older versions stored is read by this one: pure functions from one schema version to the next.

Everything that a campaign stores carries a schema version, a whole number; what has none is of version 0. It alone
decides how a stored document is read: a frozen campaign is never judged by rules that came later. Whoever changes a
stored document raises :data:`SCHEMA_VERSION`, adds a function to the table and a fixture of the version before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from activelora.config.moved_settings import upgrade_acquisition

SCHEMA_VERSION = 3
"""The schema of what this code writes. 1: the version itself. 2: ``data.label_numbers``. 3 (0.2.0): thresholds from the
calibration split, posteriors that are evaluated with their samples, known labels, and amendments."""
Document = dict[str, Any]
Migration = Callable[[Document], Document]

_NUMBERED = "classification"
"""The only kind whose labels were read by number then; it is also what is meant where none is named."""
_STUDIO_TOKEN = "LABEL_STUDIO_API_KEY"  # noqa: S105 - a variable's name


def _studio_secret(config: Document) -> Document:
    """Move the Kubernetes secret with Label Studio's token to where all secrets of pods are named.

    It was ``labeling.label_studio.secret``, then ``resources.label_studio_secret``; since ``resources.secret_env``.
    """
    labeling = dict(config.get("labeling") or {})
    studio = dict(labeling.get("label_studio") or {})
    resources = dict(config.get("resources") or {})
    old = [studio.pop("secret", None), resources.pop("label_studio_secret", None)]
    if studio:
        labeling["label_studio"] = studio
    else:
        labeling.pop("label_studio", None)
    if name := next((name for name in old if name), None):
        resources["secret_env"] = {_STUDIO_TOKEN: {"name": name}, **(resources.get("secret_env") or {})}
    sections = {"labeling": labeling, "resources": resources}
    return {**config, **{name: section for name, section in sections.items() if section or name in config}}


def _from_0(config: Document) -> Document:
    return upgrade_acquisition(_studio_secret(config))


SETTINGS: Mapping[int, Migration] = {0: _from_0, 1: dict, 2: dict}
"""Schema version → what brings the settings of ``campaign.json`` to the next one."""
ABSENT: Mapping[int, Mapping[str, Any]] = {
    0: {
        # Reasons were shown; beside gold questions the code of that time hid them too, or was told apart by them.
        "labeling.show_reasons": True,
        "adapter.laplace.prior_from": "evidence",
        # What an item's text spelled out was the model's own token.
        "task.special_tokens_in_text": "special",
        # TypiClust and ProbCover looked at every item.
        "acquisition.typiclust.sample": 1_000_000_000,
        "acquisition.probcover.sample": 1_000_000_000,
    },
    # A number that named no label was its place in the list, from 0.
    1: {"data.label_numbers": "zero_based"},
    # The temperature was fitted on the whole calibration split, gold labels of the pool were read by the oracle and for
    # the splits alone, and a champion could be worse than the base model.
    2: {
        "evaluation.conformal.method": "none",
        "evaluation.abstention.max_risk": None,
        "data.known_labels": "ignore",
        "evaluation.gates.improve_on_base": False,
        "acquisition.initial": "strategy",  # it drew round 0's batch too
        "training.min_steps": 0,
        "training.converged_loss": None,
        "training.packing": False,
        "training.warmup_fraction": 0.0,
        "scoring.embedding": "prompt",
        "adapter.blob.kl_learning_rate": None,  # AdamW followed the divergence too
    },
}
"""Schema version → what the code did where a setting was not there yet, if today's default does something else."""
OTHER_DEFAULTS: Mapping[int, Mapping[str, Any]] = {
    # Every adapter method was evaluated without samples of its posterior. Labels were passed over five times at half of
    # today's rate, which did not rise first. Batches were padded. K was 8 whatever the strategy.
    2: {
        "scoring.num_samples": 8,
        "evaluation.num_samples": 0,
        "training.min_steps": 0,
        "training.converged_loss": None,
        "training.learning_rate": 5e-4,
        "training.packing": False,
        "training.warmup_fraction": 0.0,
        "adapter.blob.kl_weight": 1e-3,
    },
}
"""Schema version → defaults that are others since. What was frozen has them; a file that says nothing means them."""
MANIFESTS: Mapping[int, Migration] = {0: dict, 1: dict, 2: dict}
"""Schema version → what brings a manifest to the next one. Version 0 lacks the number alone; 1 and 2 are as 3."""


def migrated(document: Document, version: int, table: Mapping[int, Migration]) -> Document:
    """Return a stored document as today's schema has it. The one that is given stays as it is.

    Args:
        document: What was stored.
        version: Its schema version, at most :data:`SCHEMA_VERSION`.
        table: :data:`SETTINGS` or :data:`MANIFESTS`.
    """
    for step in range(version, SCHEMA_VERSION):
        document = table[step](document)
    return document


def as_it_was(settings: Document, version: int) -> Document:
    """Return settings with what the code of their time did where it had no setting for it: see :data:`ABSENT`.

    Args:
        settings: Settings as :func:`migrated` returns them.
        version: The schema version of the campaign that they were stored in.
    """
    result = settings
    for step in range(version, SCHEMA_VERSION):
        for key, value in ABSENT[step].items():
            if key == "labeling.show_reasons" and (settings.get("labeling") or {}).get("gold_questions"):
                continue
            if key == "data.label_numbers" and (settings.get("task") or {}).get("kind", _NUMBERED) != _NUMBERED:
                continue
            result = _with(result, key.split("."), value)
    return result


def without_old_defaults(settings: Document, version: int) -> Document:
    """Return settings without those that are as nobody need have written them: see :data:`OTHER_DEFAULTS`.

    Args:
        settings: Settings as :func:`migrated` returns them.
        version: The schema version of the campaign that they were stored in.
    """
    result = settings
    for step in range(version, SCHEMA_VERSION):
        for key, value in OTHER_DEFAULTS.get(step, {}).items():
            result = _without(result, key.split("."), value)
    return result


def _without(section: Document, path: list[str], value: Any) -> Document:
    """Return the section without a setting, if it has this value."""
    first, *rest = path
    if first not in section or (not rest and section[first] != value):
        return section
    if not rest:
        return {name: content for name, content in section.items() if name != first}
    return {**section, first: _without(section[first] or {}, rest, value)}


def _with(section: Document, path: list[str], value: Any) -> Document:
    """Return the section with a setting, unless it is there."""
    first, *rest = path
    if not rest:
        return section if first in section else {**section, first: value}
    return {**section, first: _with(section.get(first) or {}, rest, value)}
