"""Final hidden states of a batch of packs, read row by row.

Letters: B packs, T tokens after the shared prefix, R rows, S positions read, D features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from activelora.modeling.packing import Pack, indices_read


class Finals:
    """Final states of the rows of a batch.

    Args:
        states_BTD: Those of the packs, padded.
        batch: B packs; the rows are numbered as they follow each other in them.
    """

    def __init__(self, states_BTD: torch.Tensor, batch: Sequence[Pack]) -> None:
        self._states_BTD = states_BTD
        self._batch = batch
        self._paths = [(index, path) for index, pack in enumerate(batch) for path in pack.paths]

    def indices(self, counts: Sequence[int]) -> list[int]:
        """Return the indices of each row's last tokens among the B·T, ``counts`` of each, one row after the other."""
        return indices_read(self._batch, counts, self._states_BTD.shape[1])

    def at(self, indices: Sequence[int]) -> torch.Tensor:
        """Return the states (S, D) at some indices among the B·T."""
        where = torch.tensor(indices, dtype=torch.long, device=self._states_BTD.device)
        return self._states_BTD.flatten(0, 1)[where]

    def last(self) -> torch.Tensor:
        """Return the state of every row's last token, shape (R, D)."""
        return self.at(self.indices([1] * len(self._paths)))

    def sums(self, positions: Sequence[range]) -> torch.Tensor:
        """Return the sum of each row's states at some of its positions after the prefix, in float32, shape (R, D)."""
        size, width = self._states_BTD.shape[:2]
        most = max(len(pack.rows) for pack in self._batch)
        counted_BRT = torch.zeros(size, most, width)
        of_row = [(index, number) for index, pack in enumerate(self._batch) for number in range(len(pack.rows))]
        for where, (_, path), wanted in zip(of_row, self._paths, positions, strict=True):
            counted_BRT[where][list(path[wanted.start : wanted.stop])] = 1.0
        found_BRD = counted_BRT.to(self._states_BTD.device) @ self._states_BTD.float()
        packs, numbers = (torch.tensor(part, device=found_BRD.device) for part in zip(*of_row, strict=True))
        return found_BRD[packs, numbers]
