"""What a round's evaluation found that changes what its model answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from activelora.evaluation.classification_metrics import FloatArray


@dataclass(frozen=True)
class Readings:
    """Parts of an evaluation's document, as they stand there; None where the evaluation has none.

    Attributes:
        temperature: ``value`` and ``num_calibration``, fitted on the calibration split.
        label_prior: The prior to divide by, one number a label.
        conformal: Thresholds of prediction sets.
        abstention: Thresholds of the confidence from which on answers stand alone.
    """

    temperature: Mapping[str, Any] | None = None
    label_prior: list[float] | None = None
    conformal: Mapping[str, Any] | None = None
    abstention: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Readings:
        """Return those of an evaluation's document, or of one that :meth:`as_document` made."""
        return cls(**{name: document.get(name) for name in cls.__dataclass_fields__})

    def as_document(self) -> dict[str, Any]:
        """Return them as JSON."""
        return asdict(self)

    @property
    def scale(self) -> float:
        """The temperature; 1 where none was fitted."""
        return 1.0 if self.temperature is None else float(self.temperature["value"])

    @property
    def prior(self) -> FloatArray | None:
        """The label prior, shape (C,); None where answers are not corrected."""
        return None if self.label_prior is None else np.array(self.label_prior, dtype=np.float64)
