"""The frozen trunk's states of a chunk of rows: computed once for all samples, or found as an earlier run kept them.

Letters: B batch, P prefix tokens, T tokens, M tokens of all packs, D features.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from activelora.modeling.packing import Pack
from activelora.modeling.split import SplitDecoder
from activelora.modeling.trunk_states import TrunkStates
from activelora.scoring.layout import Chunk
from activelora.scoring.runner import Runner

States = tuple[torch.Tensor | None, list[torch.Tensor]]
"""What the top runs on: the prefix (1, P, D), if there is one, and each batch of wanted packs (B, T, D) after it."""


class Trunk:
    """Runs the layers below the first adapted one.

    All rows of a chunk are run, in packs and batches that do not depend on which are wanted: rounding depends on
    all that is run together.

    Args:
        split: The model in two parts.
        like: A tensor of its device and dtype.
        trunk_cache: Store of states across runs, if there is one.
    """

    def __init__(self, split: SplitDecoder, like: torch.Tensor, trunk_cache: TrunkStates | None) -> None:
        self._split = split
        self._runner = Runner(split.trunk, like)
        self._device = like.device
        self._trunk_cache = trunk_cache

    def states(self, chunk: Chunk, keep: bool) -> Generator[None, None, States]:
        """Return the states of a chunk; with an empty trunk, the token ids.

        Yields after every batch of the trunk.

        Args:
            chunk: The rows.
            keep: Whether to look for stored states, and to store these.
        """
        if self._split.first_top_layer == 0:
            prefix = self._tensor([chunk.prefix]) if chunk.prefix_length else None
            return prefix, [self._tensor([pack.ids for pack in batch]) for batch in chunk.batches]
        trunk_cache = self._trunk_cache if keep else None
        key = self._key(chunk) if trunk_cache is not None else ""
        states_MD = trunk_cache.get(key) if trunk_cache is not None else None
        if states_MD is None:
            states_MD = yield from self._compute(chunk)
            # Halves round in another way: whoever finds states must not see what memory there was.
            if trunk_cache is not None and not self._runner.has_halved:
                trunk_cache.put(key, states_MD)
        return self._batched(chunk, states_MD.to(self._device))

    def _key(self, chunk: Chunk) -> str:
        ids = [[pack.ids for pack in batch] for batch in chunk.trunk_batches]
        trees = [
            [pack.ends for pack in batch] for batch in chunk.trunk_batches if any(not pack.is_plain for pack in batch)
        ]
        return self._split.states_key([[chunk.prefix], *ids, *trees])

    def _compute(self, chunk: Chunk) -> Generator[None, None, torch.Tensor]:
        """Return the states of the prefix and then of each pack, without padding, in the order of the batches."""
        parts: list[torch.Tensor] = []
        cache = self._split.new_cache() if chunk.prefix_length else None
        if cache is not None:
            parts.append(self._split.trunk(self._tensor([chunk.prefix]), cache)[0])
        for batch in chunk.trunk_batches:
            ids_BT = self._tensor([pack.ids for pack in batch])
            hidden_BTD = self._runner.run(ids_BT, batch, cache, chunk.prefix_length)
            parts += [hidden_TD[: len(pack.ids)] for pack, hidden_TD in zip(batch, hidden_BTD, strict=True)]
            yield
        return torch.cat(parts)

    def _batched(self, chunk: Chunk, states_MD: torch.Tensor) -> States:
        """Return the prefix's states and those of the wanted packs, padded again."""
        of_row: dict[int, NDArray[np.int64]] = {}
        at = chunk.prefix_length
        for pack in (pack for batch in chunk.trunk_batches for pack in batch):
            of_row |= {row: np.add(path, at) for row, path in zip(pack.rows, pack.paths, strict=True)}
            at += len(pack.ids)
        batches = [
            nn.utils.rnn.pad_sequence(
                [states_MD[self._state_indices(pack, of_row)] for pack in batch], batch_first=True
            )
            for batch in chunk.batches
        ]
        return states_MD[None, : chunk.prefix_length] if chunk.prefix_length else None, batches

    def _state_indices(self, pack: Pack, of_row: dict[int, NDArray[np.int64]]) -> torch.Tensor:
        """Return where the states of a pack's tokens are: another pack may have had the same rows."""
        indices_T = np.empty(len(pack.ids), dtype=np.int64)
        for row, path in zip(pack.rows, pack.paths, strict=True):
            indices_T[list(path)] = of_row[row]
        return torch.from_numpy(indices_T).to(self._device)

    def _tensor(self, ids: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """Pad on the right: causal attention keeps padding from reaching any token that counts."""
        length = max(len(row) for row in ids)
        padded = np.zeros((len(ids), length), dtype=np.int64)
        for index, row in enumerate(ids):
            padded[index, : len(row)] = row
        return torch.from_numpy(padded).to(self._device)
