"""Arrays that are gathered shard by shard and lie in a temporary file where they are large.

The file has no name and goes with the process, however that ends. Letters: N rows of the result, P rows of a part.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activelora.errors import ConfigError

BLOCK_BYTES = 64_000_000


class Parts:
    """Parts of one array along its first axis.

    Args:
        most_bytes: What may lie in memory, all parts together; and so much of the result.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._parts: list[NDArray[Any]] = []
        self._num_bytes = 0

    def __bool__(self) -> bool:
        """Tell whether there is any part."""
        return bool(self._parts)

    def add(self, part: NDArray[Any]) -> None:
        """Take in a part, of the same shape as the others but for its first and its last axis."""
        self._num_bytes += part.nbytes
        if self._num_bytes > self._most_bytes and part.size:
            in_file = mapped(part.shape, part.dtype)
            in_file[:] = part
            part = in_file
        self._parts.append(part)

    def rows(self, rows_N: NDArray[np.int64], padding: float = 0.0) -> NDArray[Any]:
        """Return rows of the whole in the order given, the last axis padded to the widest part."""
        width = max(part.shape[-1] for part in self._parts)
        shape = (len(rows_N), *self._parts[0].shape[1:-1], width)
        dtype = self._parts[0].dtype
        is_large = int(np.prod(shape)) * dtype.itemsize > self._most_bytes
        found = mapped(shape, dtype) if is_large else np.empty(shape, dtype=dtype)
        targets = np.full(sum(map(len, self._parts)), -1, dtype=np.int64)
        targets[rows_N] = np.arange(len(rows_N))
        begin = 0
        for part in self._parts:
            targets_P = targets[begin : begin + len(part)]
            found[targets_P[targets_P >= 0], ..., : part.shape[-1]] = part[targets_P >= 0]
            found[targets_P[targets_P >= 0], ..., part.shape[-1] :] = padding
            begin += len(part)
        return found


def mapped(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an array in a temporary file without a name.

    Raises:
        ConfigError: There is no room for it.
    """
    num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    with tempfile.TemporaryFile(prefix="activelora-") as file:
        try:
            # A disk that is full when a mapped page is written kills the process without a word.
            os.posix_fallocate(file.fileno(), 0, num_bytes)
        except OSError as error:
            raise ConfigError(
                f"there is no room for {num_bytes / 1e9:.1f} GB of the selection's data: {error.strerror}",
                where=f"temporary folder {tempfile.gettempdir()}",
                remedy="Set TMPDIR to a folder with more room, or raise `acquisition.memory_gb`.",
            ) from error
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)


def blocks(array: NDArray[Any]) -> Iterator[slice]:
    """Yield slices of an array's first axis that are small in memory."""
    size = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    for begin in range(0, len(array), size):
        yield slice(begin, min(begin + size, len(array)))
