"""How long an adapter is trained where a campaign file does not say it: by what its labels are.

Training until the labels are learned was measured where a label is one of several. Written answers and numbers can be
learned by heart, and are then answered worse: they have a number of steps. Names are those of this package's kinds;
other packages' keep the plain default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from activelora.config.filling import filled

KINDS_OF_MANY_ANSWERS = frozenset({"generation", "regression"})
A_NUMBER_OF_STEPS: Mapping[str, Any] = {"converged_loss": None, "min_steps": 120, "learning_rate": 5e-4}
"""The defaults of these kinds."""


def with_length(document: Any) -> Any:
    """Return a campaign's document with the training length of its kind, as far as it says none.

    What is no document of settings comes back as it is.
    """
    task = document.get("task") if isinstance(document, Mapping) else None
    kind = task.get("kind") if isinstance(task, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS_OF_MANY_ANSWERS:
        return document
    for name, value in A_NUMBER_OF_STEPS.items():
        document = filled(document, "training", name, value)
    return document
