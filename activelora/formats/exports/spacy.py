"""spaCy's categories: ``cats``, an object of label to 0, 1 or a score between them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from activelora.errors import DataError
from activelora.formats.exports.export import EMPTY, Asked, Export

TOOL = "spaCy"
LEAST_SCORE = 0.5
"""What a category needs to be a label."""


def is_marked(names: Collection[str]) -> bool:
    """Tell whether columns of these names may be this tool's."""
    return "cats" in names


def read(row: Mapping[str, Any], asked: Asked) -> Export | None:
    """Return what a row says; None if it is not this tool's."""
    cats = row.get("cats")
    if not isinstance(cats, Mapping) or "cats" in asked.columns:
        return None
    meta = row.get("meta") if isinstance(row.get("meta"), Mapping) else {}
    export = Export(TOOL, {**(meta or {}), **row})
    if not asked.labels:
        return export
    scores = {name: score for name, value in cats.items() if (score := _score(name, value)) is not None}
    chosen = [name for name, score in scores.items() if score >= LEAST_SCORE]
    if not asked.takes_several and chosen:
        best = max(scores.values())
        chosen = [name for name in chosen if scores[name] == best]
    if chosen or (asked.takes_several and scores):
        export.add(asked, chosen)
    else:
        export.passed.append(EMPTY if not scores else f"of scores below {LEAST_SCORE:g}")
    return export


def _score(name: object, value: object) -> float | None:
    """Return a category's score; None where nothing is known of it."""
    if value is None:
        return None
    if isinstance(value, int | float) and math.isfinite(value):  # True and False too
        return float(value)
    raise DataError(f"`cats` gives `{name}` the score {str(value)[:40]!r}, expected a number from 0 to 1")
