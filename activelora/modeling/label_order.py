"""The order in which training sees its labels.

Letters: N examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from activelora.modeling.packing import num_shared

IntArray = NDArray[np.int64]

WINDOW_BATCHES = 8
"""Among so many batches' labels, like lengths are put together."""


def group_by_length(
    order_N: IntArray,
    lengths_N: IntArray,
    batch_size: int,
    generator: np.random.Generator,
) -> IntArray:
    """Return a shuffled order in which like lengths stand together, a batch at a time.

    Args:
        order_N: A random order of the examples.
        lengths_N: Their lengths in tokens, by index.
        batch_size: Labels of a batch.
        generator: Shuffles the batches of a window again, so that no window goes from short to long.
    """
    grouped: list[IntArray] = []
    width = batch_size * WINDOW_BATCHES
    for begin in range(0, len(order_N), width):
        window = order_N[begin : begin + width]
        window = window[np.argsort(lengths_N[window], kind="stable")]
        whole = len(window) // batch_size * batch_size
        batches = window[:whole].reshape(-1, batch_size)
        grouped += [batches[generator.permutation(len(batches))].ravel(), window[whole:]]
    return np.concatenate(grouped)


def groups_alike(ids: Sequence[tuple[int, ...]]) -> list[IntArray]:
    """Group neighbours that are about the same text: they share more than half of what not all begin with.

    Args:
        ids: Token ids of the N examples, those of an item one after the other.
    """
    everywhere = num_shared(min(ids), max(ids))
    groups = [[0]]
    for index in range(1, len(ids)):
        shorter = min(len(ids[index - 1]), len(ids[index])) - everywhere
        if 2 * (num_shared(ids[index - 1], ids[index]) - everywhere) > shorter:
            groups[-1].append(index)
        else:
            groups.append([index])
    return [np.array(group) for group in groups]
