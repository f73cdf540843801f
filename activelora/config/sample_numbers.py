"""K, the number of posterior samples that score the pool, where a campaign file does not say it: by what counts.

Where a ranking goes by how far samples disagree, few samples rank noise: of 8, two draws share only part of a batch.
Names are those of the strategies and measures of this package (a test compares them with what those declare); other
packages' keep the plain default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from activelora.config.acquisition import AcquisitionConfig, HybridConfig
from activelora.config.filling import filled
from activelora.config.moved_settings import with_strategy_sections
from activelora.config.section import Section

DISAGREEMENT_SAMPLES = 32
"""K where disagreement counts."""
MEASURES_OF_DISAGREEMENT = frozenset(
    {"bald", "variation_ratio", "vote_entropy", "consensus_kl", "variance", "epistemic_variance", "disagreement"}
)
STRATEGIES_OF_DISAGREEMENT = frozenset(
    {"bald", "batch_bald", "variation_ratio", "vote_entropy", "consensus_kl", "variance", "epig"}
)
BY_MEASURE = frozenset({"star", "uncertainty", "density_weighted"})
"""Strategies that go by `acquisition.measure`."""


def with_samples(document: Any) -> Any:
    """Return a campaign's document with K for a strategy by disagreement, if it says none.

    What is no document of settings comes back as it is.
    """
    if not isinstance(document, Mapping):
        return document
    if not by_disagreement(with_strategy_sections(document.get("acquisition", {}))):
        return document
    return filled(document, "scoring", "num_samples", DISAGREEMENT_SAMPLES)


def by_disagreement(acquisition: Any) -> bool:
    """Tell whether a batch is chosen by how far samples disagree.

    Args:
        acquisition: The section: as it stands in a document, where names may be missing or wrong, or read.
    """
    strategy = _text(acquisition, "strategy", AcquisitionConfig)
    measure = _text(acquisition, "measure", AcquisitionConfig)
    names = {strategy}
    measures = {measure} if strategy in BY_MEASURE else set()
    if strategy == "hybrid":
        hybrid = _value(acquisition, "hybrid")
        then = _text(hybrid, "then", HybridConfig)
        names.add(then)
        measures |= {_text(hybrid, "prefilter", HybridConfig), *([measure] if then in BY_MEASURE else [])}
    return bool(names & STRATEGIES_OF_DISAGREEMENT or measures & MEASURES_OF_DISAGREEMENT)


def _text(section: Any, name: str, kind: type[Section]) -> str:
    """Return a setting that is a text, its default where it is left out; nothing where it is something else."""
    value = _value(section, name)
    if value is None:
        value = kind.model_fields[name].default
    return value if isinstance(value, str) else ""


def _value(section: Any, name: str) -> Any:
    return section.get(name) if isinstance(section, Mapping) else getattr(section, name, None)
