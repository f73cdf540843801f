"""The frozen trunk's states of a chunk of rows: computed once for all samples, or found as an earlier run kept them.

Letters: B batch, P prefix tokens, T tokens, M tokens of all rows, D features.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
import torch
from torch import nn
from transformers import DynamicCache

from activelora.modeling.split import Layout, SplitDecoder, expand_cache
from activelora.modeling.trunk_states import TrunkStates
from activelora.scoring.batch_size import Halving
from activelora.scoring.branching import layout_of
from activelora.scoring.layout import Chunk

States = tuple[torch.Tensor | None, list[torch.Tensor]]
"""What the top runs on: the prefix (1, P, D), if there is one, and each batch of wanted rows (B, T, D) after it."""


class Trunk:
    """Runs the layers below the first adapted one.

    All rows of a chunk are run, in batches that do not depend on which are wanted: rounding depends on company.

    Args:
        split: The model in two parts.
        like: A tensor of its device and dtype.
        kept: Where states are kept across runs, if anywhere.
    """

    def __init__(self, split: SplitDecoder, like: torch.Tensor, kept: TrunkStates | None) -> None:
        self._split = split
        self._halving = Halving()
        self._like = like
        self._device = like.device
        self._kept = kept

    def states(self, chunk: Chunk, keep: bool) -> Generator[None, None, States]:
        """Return the states of a chunk; with an empty trunk, the token ids.

        Yields after every batch of the trunk.

        Args:
            chunk: The rows.
            keep: Whether to look for kept states, and to keep these.
        """
        if self._split.first_top_layer == 0:
            prefix = self._tensor([chunk.prefix]) if chunk.prefix_length else None
            return prefix, [self._tensor(chunk.ids(batch)) for batch in chunk.batches]
        kept = self._kept if keep else None
        key = self._key(chunk) if kept is not None else ""
        states_MD = kept.get(key) if kept is not None else None
        if states_MD is None:
            states_MD = yield from self._compute(chunk)
            # Halves round in another way: whoever finds states must not see what memory there was.
            if kept is not None and not self._halving.has_halved:
                kept.put(key, states_MD)
        return self._batched(chunk, states_MD.to(self._device))

    def _key(self, chunk: Chunk) -> str:
        groups = [[chunk.prefix], *(chunk.ids(batch) for batch in chunk.company)]
        forks = [[len(ids) for _, ids in row.branches] for row in chunk.rows if row.branches]
        return self._split.states_key([*groups, forks] if forks else groups)

    def _compute(self, chunk: Chunk) -> Generator[None, None, torch.Tensor]:
        """Return the states of the prefix and then of each row, without padding, in the order of the batches."""
        parts: list[torch.Tensor] = []
        cache = DynamicCache() if chunk.prefix_length else None
        if cache is not None:
            parts.append(self._split.trunk(self._tensor([chunk.prefix]), cache)[0])
        for batch in chunk.company:
            ids = chunk.ids(batch)
            layout = layout_of([chunk.rows[i] for i in batch], chunk.prefix_length, self._like)
            hidden_BTD = self._run(self._tensor(ids), cache, layout)
            parts += [hidden_TD[: len(row)] for row, hidden_TD in zip(ids, hidden_BTD, strict=True)]
            yield
        return torch.cat(parts)

    def _run(self, ids_BT: torch.Tensor, cache: DynamicCache | None, layout: Layout | None) -> torch.Tensor:
        def some(rows: slice) -> torch.Tensor:
            part = None if layout is None else layout.rows(rows)
            return self._split.trunk(ids_BT[rows], for_batch(cache, len(ids_BT[rows])), part)

        return self._halving.run(some, *ids_BT.shape)

    def _batched(self, chunk: Chunk, states_MD: torch.Tensor) -> States:
        """Return the prefix's states and those of the wanted rows, padded again."""
        order = [index for batch in chunk.company for index in batch]
        lengths = [chunk.prefix_length, *(len(chunk.rows[index].ids) - chunk.prefix_length for index in order)]
        prefix_PD, *parts = torch.split(states_MD, lengths)
        by_row = dict(zip(order, parts, strict=True))
        batches = [nn.utils.rnn.pad_sequence([by_row[i] for i in batch], batch_first=True) for batch in chunk.batches]
        return prefix_PD[None] if chunk.prefix_length else None, batches

    def _tensor(self, ids: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """Pad on the right: causal attention keeps padding from reaching any token that counts."""
        length = max(len(row) for row in ids)
        padded = np.zeros((len(ids), length), dtype=np.int64)
        for index, row in enumerate(ids):
            padded[index, : len(row)] = row
        return torch.from_numpy(padded).to(self._device)


def for_batch(cache: DynamicCache | None, batch_size: int) -> DynamicCache | None:
    """Return a batch's own copy of the prefix's cache, if there is one (an empty trunk caches nothing)."""
    return expand_cache(cache, batch_size) if cache is not None and cache.layers else None
