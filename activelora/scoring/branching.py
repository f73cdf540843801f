"""Rows in which several answers follow one prompt, side by side: no answer sees another.

The prompt is run once for all its answers, which changes nothing but rounding: an attention mask hides the answers from
each other, and each one's positions begin where the prompt ends.

Letters: B rows, T tokens after the shared prefix, P prefix tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from activelora.modeling.split import Layout, SplitDecoder
from activelora.scoring.layout import Row

_CHECKED = ((5, 6, 7), (8, 9), (10, 11, 12))
"""A prompt and two continuations of any tokens."""


def layout_of(rows: Sequence[Row], prefix_length: int, like: torch.Tensor) -> Layout | None:
    """Return the mask and positions of a batch, or None where plain causal attention is right.

    Args:
        rows: B rows.
        prefix_length: P.
        like: A tensor of the model's device and dtype.
    """
    if not any(len(ids) > 1 for row in rows for _, ids in row.branches):
        return None
    num_tokens = max(len(row.ids) for row in rows) - prefix_length
    allowed = np.ones((len(rows), num_tokens, prefix_length + num_tokens), dtype=bool)
    positions = np.empty((len(rows), num_tokens), dtype=np.int64)
    for index, row in enumerate(rows):
        owner_T, positions[index] = _owners(row, prefix_length, num_tokens)
        seen_TT = (owner_T[None, :] < 0) | (owner_T[None, :] == owner_T[:, None])
        allowed[index, :, prefix_length:] = np.tril(seen_TT)
    mask = torch.zeros(allowed.shape, dtype=like.dtype).masked_fill_(
        ~torch.from_numpy(allowed), torch.finfo(like.dtype).min
    )
    return Layout(mask[:, None].to(like.device), torch.from_numpy(positions).to(like.device))


def _owners(row: Row, prefix_length: int, num_tokens: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the branch of each token after the prefix (−1: the prompt, or padding), and its position."""
    owner_T = np.full(num_tokens, -1, dtype=np.int64)
    positions_T = np.arange(prefix_length, prefix_length + num_tokens)
    at = row.num_prompt - prefix_length
    for number, (_, ids) in enumerate(row.branches):
        length = len(ids) - 1
        owner_T[at : at + length] = number
        positions_T[at : at + length] = np.arange(row.num_prompt, row.num_prompt + length)
        at += length
    return owner_T, positions_T


def can_branch(split: SplitDecoder, like: torch.Tensor) -> bool:
    """Tell whether the model attends as it is told to: compare branches with rows of their own.

    Args:
        split: The model.
        like: A tensor of the model's device and dtype.
    """
    if split.limits_attention:
        return False
    prompt, *answers = _CHECKED
    row = Row(0, None, prompt + sum((ids[:-1] for ids in answers), ()), (), (), tuple(enumerate(answers)))
    with torch.no_grad():
        found_TD = split.whole(torch.tensor([row.ids], device=like.device), layout_of([row], 0, like))[0]
        at = len(prompt)
        for ids in answers:
            alone_TD = split.whole(torch.tensor([prompt + ids[:-1]], device=like.device))[0]
            branch_TD = torch.cat([found_TD[: len(prompt)], found_TD[at : at + len(ids) - 1]])
            if not torch.allclose(alone_TD.float(), branch_TD.float(), rtol=2e-2, atol=2e-2):
                return False
            at += len(ids) - 1
    return True
