"""Settings that have moved, and how a document of an older version becomes one of today's. It goes with 0.3.0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOVED_ACQUISITION: dict[str, tuple[str, ...]] = {
    "scaling": ("star.scaling",),
    "prefilter": ("hybrid.prefilter",),
    "prefilter_factor": ("hybrid.prefilter_factor", "cluster_margin.prefilter_factor"),
    "then": ("hybrid.then",),
    "beta": ("density_weighted.beta",),
    "candidates": ("batch_bald.candidates",),
    "configurations": ("batch_bald.configurations",),
    "gradient": ("expected_gradient_length.gradient",),
    "neighbors": ("cal.neighbors",),
    "typical_neighbors": ("typiclust.neighbors",),
    "sample": ("typiclust.sample", "probcover.sample"),
    "radius": ("probcover.radius",),
    "purity": ("probcover.purity",),
    "sub_batch": ("discriminative.sub_batch",),
}
"""Key under `acquisition` until 0.1 → keys of today under `acquisition`: each strategy's settings in its section."""


def upgrade_acquisition(document: dict[str, Any]) -> dict[str, Any]:
    """Return a campaign's settings with strategies' settings in their sections; those of today come back as they are.

    Args:
        document: The settings of a whole campaign, as a file or `campaign.json` has them. It is left as it is.
    """
    if "acquisition" not in document:
        return document
    return {**document, "acquisition": with_strategy_sections(document["acquisition"])}


def with_strategy_sections(acquisition: Any) -> Any:
    """Return the `acquisition` section of :func:`upgrade_acquisition`; what is no mapping comes back as it is."""
    if not isinstance(acquisition, Mapping) or not acquisition.keys() & MOVED_ACQUISITION.keys():
        return acquisition
    result = {key: value for key, value in acquisition.items() if key not in MOVED_ACQUISITION}
    for old in (key for key in MOVED_ACQUISITION if key in acquisition):
        for new in MOVED_ACQUISITION[old]:
            name, _, key = new.partition(".")
            section = result.get(name, {})
            if isinstance(section, Mapping):
                result[name] = {**section, key: acquisition[old]}
    return result


def moved_keys(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return which old keys of MOVED_ACQUISITION a campaign's settings use, dotted, each with the keys of today."""
    acquisition = document.get("acquisition")
    given = acquisition if isinstance(acquisition, Mapping) else {}
    return {
        f"acquisition.{old}": [f"acquisition.{new}" for new in keys]
        for old, keys in MOVED_ACQUISITION.items()
        if old in given
    }
