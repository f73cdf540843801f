"""Single tokens on their way through the output head, which no longer knows what sequences they come from."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch


class Rows(NamedTuple):
    """Where the rows of a two-dimensional input come from.

    Attributes:
        sequences: Index of each row's sequence in the batch, shape (rows,).
        positions: Each row's position in its sequence, from 0, a cached prefix included; shape (rows,).
    """

    sequences: torch.Tensor
    positions: torch.Tensor


def project(head: Any, hidden: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Run the output head on single tokens.

    Args:
        head: The model's output head. One whose adapter tells tokens apart reads its attribute ``rows``.
        hidden: Final hidden states, shape (rows, D).
        rows: Origin of each row: its sequence and position.

    Returns:
        Logits, shape (rows, V).
    """
    if hasattr(head, "rows"):
        head.rows = rows
    logits: torch.Tensor = head(hidden)
    return logits
