"""Yes or no: classification by two labels that need not be given."""

from __future__ import annotations

from activelora.config import TaskConfig
from activelora.kinds.classification.task import Classification
from activelora.kinds.yes_no.kind import KIND, LABELS

_SYNONYMS = {"true": 1, "y": 1, "1": 1, "false": 0, "n": 0, "0": 0}


def make(config: TaskConfig) -> Classification:
    """Return the task; in data, true, y and 1 mean yes too, and false, n and 0 mean no."""
    return Classification(config, KIND, LABELS, _SYNONYMS)
