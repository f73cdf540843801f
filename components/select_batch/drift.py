"""How the items that came later differ for the model: what it answers to them, and where they lie.

Letters: N items, C answers, D features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from activelora.evaluation.drift import cosine_distance, total_variation

_METRICS = {"mean_probs": ("drift_label_mix", total_variation), "embedding": ("drift_embedding", cosine_distance)}


class ScoreDrift:
    """Means over the unlabelled items of the first reading, and over those that came later.

    Adding up needs no table twice.
    """

    def __init__(self) -> None:
        self._sums: dict[tuple[str, bool], NDArray[np.float64]] = {}
        self._counts: dict[tuple[str, bool], int] = {}

    def add(self, table: pa.Table, *, is_new: bool) -> None:
        """Take in a shard's scores.

        Args:
            table: The scores.
            is_new: Whether the shard came with a refresh.
        """
        for name in _METRICS:
            if name not in table.column_names or not table.num_rows:
                continue
            rows = np.asarray(pc.list_flatten(table[name]).to_numpy(), dtype=np.float64).reshape(table.num_rows, -1)
            sum_C, key = rows.sum(axis=0), (name, is_new)
            known_C = self._sums.get(key, np.zeros(0))
            width = max(len(sum_C), len(known_C))
            self._sums[key] = _padded(sum_C, width) + _padded(known_C, width)
            self._counts[key] = self._counts.get(key, 0) + table.num_rows

    def metrics(self) -> dict[str, float]:
        """Return `drift_label_mix`, the share of the answers that differs, and `drift_embedding`, 1 − cos; as known."""
        found: dict[str, float] = {}
        for name, (metric, distance) in _METRICS.items():
            if {(name, False), (name, True)} <= self._sums.keys():
                old, new = (self._sums[name, is_new] / self._counts[name, is_new] for is_new in (False, True))
                width = max(len(old), len(new))
                found[metric] = distance(_padded(old, width), _padded(new, width))
        return found


def _padded(values_C: NDArray[Any], width: int) -> NDArray[np.float64]:
    return np.pad(values_C, (0, width - len(values_C)))
