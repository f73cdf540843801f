"""How much of a batch is the samples' chance: the two rankings by two halves of the samples, compared.

Half of the samples' measure is kept beside each item's score (sample 0, 2, ... and 1, 3, ...), shard by shard; the tops
are taken of all shards together, so that the number does not depend on the sharding. Letters: N items, K samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from activelora.acquisition.ties import ranking

HALVES = ("first_half", "second_half")
"""Columns of a score table: the strategy's measure by either half of the samples."""
FEWEST_SAMPLES = 4
"""K below which halves have nothing to disagree in."""
GOOD_SHARE = 0.7
"""Share of the batch below which more samples are advised."""
SHARED, COMPARED, SAMPLES_EACH = "halves_shared", "halves_compared", "halves_samples"
"""Metrics of select_batch."""


class Halves:
    """The halves' scores, gathered over shards."""

    def __init__(self) -> None:
        self._ids: list[pa.ChunkedArray] = []
        self._scores: list[NDArray[np.float64]] = []

    def add(self, table: pa.Table) -> None:
        """Take in a shard's table, if it has halves."""
        if set(HALVES) <= set(table.column_names):
            self._ids.append(table["item_id"])
            self._scores.append(np.stack([table[name].to_numpy() for name in HALVES], axis=1))

    def metrics(self, item_ids: Sequence[str], num: int, num_samples: int, seed: int) -> dict[str, float]:
        """Return how many items the halves' tops share, of how many, and the samples of a half; none without halves.

        Args:
            item_ids: The unlabelled items.
            num: Size of the batch.
            num_samples: K.
            seed: Seed of the draw among equal scores.
        """
        if not self._ids:
            return {}
        scored = pa.chunked_array([chunk for one in self._ids for chunk in one.chunks])
        wanted = pa.array(sorted(item_ids), type=scored.type)
        indices = pc.index_in(wanted, value_set=scored)
        known = wanted.filter(indices.is_valid())
        num = min(num, len(known))
        if not num or num == len(known):  # all are picked by any ranking
            return {}
        scores_N2 = np.concatenate(self._scores)[indices.drop_null().to_numpy()]
        names = _Names(known)
        first, second = (set(ranking(scores_N2[:, half], names, seed)[:num].tolist()) for half in (0, 1))
        return {SHARED: float(len(first & second)), COMPARED: float(num), SAMPLES_EACH: float(num_samples // 2)}


class _Names(Sequence[str]):
    """Ids that become Python's strings only where they are asked for."""

    def __init__(self, ids: pa.StringArray) -> None:
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: Any) -> Any:
        return self._ids[index].as_py()


def words(metrics: Mapping[str, float]) -> str:
    """Return the comparison in words, with what to do; nothing where there is none.

    Args:
        metrics: Those of select_batch.
    """
    if SHARED not in metrics:
        return ""
    shared, num, each = (int(metrics[name]) for name in (SHARED, COMPARED, SAMPLES_EACH))
    said = f"two draws of {each} samples share {shared} of {num} picks"
    return f"{said}: ask for more (scoring.num_samples)" if shared < GOOD_SHARE * num else said
