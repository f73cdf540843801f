"""Runs batches of packs through one part of the model.

Letters: B packs, T tokens after the shared prefix, P prefix tokens, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from transformers import DynamicCache

from activelora.modeling.key_values import expand_cache
from activelora.modeling.packing import Pack, indices_read, layout_of
from activelora.scoring.batch_size import Halving

Compute = Callable[..., torch.Tensor]
"""Inputs (B, T) or (B, T, D), the prefix's keys and values, what is not plainly causal and, for the top, the tokens
that are read → states (B, T, D)."""
MOST_READ = 0.5
"""Share of the tokens that may be read for it to pay to leave the others out."""


class Runner:
    """Runs batches, in halves where memory runs out, and a pack for which it does row by row.

    Args:
        compute: The part of the model.
        like: A tensor of its device and dtype.
    """

    def __init__(self, compute: Compute, like: torch.Tensor) -> None:
        self._compute = compute
        self._like = like
        self._halving = Halving()

    @property
    def has_halved(self) -> bool:
        """Whether memory has run out."""
        return self._halving.has_halved

    def run(
        self,
        inputs: torch.Tensor,
        batch: Sequence[Pack],
        cache: DynamicCache | None,
        prefix_length: int,
        counts: Sequence[int] | None = None,
    ) -> torch.Tensor:
        """Return the states (B, T, D) of a batch.

        Args:
            inputs: Token ids or hidden states of the packs, padded on the right.
            batch: B packs.
            cache: Keys and values of the prefix, if there is one.
            prefix_length: P.
            counts: Number of each row's last tokens that are read, if no other token is.

        Raises:
            ModelError: Memory runs out for a single row.
        """
        layout = layout_of(batch, prefix_length, self._like)

        def some(rows: slice) -> torch.Tensor:
            part = None if layout is None else layout.rows(rows)
            arguments = (inputs[rows], for_batch(cache, len(inputs[rows])), part)
            if counts is None:
                return self._compute(*arguments)
            before = sum(len(pack.rows) for pack in batch[: rows.start])
            return self._compute(*arguments, self._indices(batch[rows], counts[before:], inputs.shape[1]))

        def row_by_row(index: int) -> torch.Tensor:
            found: list[torch.Tensor] = []
            for path in batch[index].paths:
                found.append(self._compute(inputs[index : index + 1, list(path)], for_batch(cache, 1), None)[0])
            states_TD = found[0].new_zeros(inputs.shape[1], found[0].shape[1])
            for path, states in zip(batch[index].paths, found, strict=True):
                states_TD[list(path)] = states
            return states_TD[None]

        return self._halving.run(some, inputs.shape[0], inputs.shape[1], row_by_row if layout is not None else None)

    def _indices(self, batch: Sequence[Pack], counts: Sequence[int], num_tokens: int) -> torch.Tensor | None:
        """Return the indices of the tokens that are read, each once; None where they are too many."""
        indices = sorted(set(indices_read(batch, counts, num_tokens)))
        if len(indices) > MOST_READ * len(batch) * num_tokens:
            return None
        return torch.tensor(indices, device=self._like.device)


def for_batch(cache: DynamicCache | None, batch_size: int) -> DynamicCache | None:
    """Return a batch's own copy of the prefix's cache, if there is one (an empty trunk caches nothing)."""
    return expand_cache(cache, batch_size) if cache is not None and cache.layers else None
