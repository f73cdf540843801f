"""Labels that are held out of a training to choose a posterior's width by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

HELD_OUT_SHARE = 0.2


def split(num_labels: int, seed: int) -> tuple[Sequence[int], Sequence[int]]:
    """Return the indices to train on and those to hold out, each in order; at least one is held out."""
    order = np.random.default_rng(seed).permutation(num_labels).tolist()
    num_held_out = max(1, round(HELD_OUT_SHARE * num_labels))
    return sorted(order[num_held_out:]), sorted(order[:num_held_out])
