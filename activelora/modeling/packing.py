"""Packs: rows that begin alike, run as one sequence in which what they share occurs once.

A pack is a tree of tokens, in the order of a walk that takes each branch to its end. An attention mask lets each token
see those on its own way from the root, and its position is its depth, so that nothing changes but rounding. What pays:
several questions about one text, several answers to one prompt, questions that begin with the same words.

Letters: B packs, T tokens after the shared prefix, P prefix tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from activelora.modeling.split import Layout, SplitDecoder

PAIRS_PER_TOKEN = 1000
"""Pairs of tokens to which attention costs as much as a token's way through a layer: 6·D in theory, fewer with a mask,
whose kernel is slower than a matrix product."""
LONGEST = 1024
"""Tokens of a pack at most, or a batch's, if those are more."""
LEAST_SAVED = 0.05
"""Share of the tokens that packs must save; a mask costs something too."""
_GROUPS = (1, 2, 4)
"""Numbers of packs that a batch is tried in."""
_CHECKED = ((5, 6, 7, 8, 9), (5, 6, 7, 10, 11, 12), (5, 6, 13))
"""Rows of any tokens that begin alike."""


@dataclass(frozen=True)
class Pack:
    """Rows as one sequence.

    Attributes:
        rows: Numbers of the rows.
        ids: Token ids, shape (T,): each token comes before those that follow it in any row.
        ends: Index after the last token that follows each in any row, shape (T,): those between see it.
        paths: Indices of each row's tokens in ``ids``, one after the other.
    """

    rows: tuple[int, ...]
    ids: tuple[int, ...]
    ends: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]

    @property
    def is_plain(self) -> bool:
        """Whether it is a single row, to which plain causal attention does right."""
        return len(self.rows) == 1


def packs(ids: Sequence[tuple[int, ...]], numbers: Sequence[int], longest: int) -> list[Pack]:
    """Pack rows; each for itself where packing them saves too little.

    Args:
        ids: Token ids of the rows, after the prefix.
        numbers: Numbers of the rows.
        longest: Tokens of a pack at most.
    """
    packed = list(_grown(ids, numbers, longest))
    num_tokens = sum(len(row) for row in ids)
    if sum(len(pack.ids) for pack in packed) > (1.0 - LEAST_SAVED) * num_tokens:
        return [plain(row, number) for row, number in zip(ids, numbers, strict=True)]
    return packed


def joined(ids: Sequence[tuple[int, ...]], numbers: Sequence[int], longest: int) -> list[Pack] | None:
    """Return a few short rows as one pack, or None where padding them costs less than the larger mask.

    Args:
        ids: Token ids of the rows, after the prefix.
        numbers: Numbers of the rows.
        longest: Tokens of the pack at most.
    """
    num_tokens = sum(map(len, ids))
    num_padding = len(ids) * max(map(len, ids)) - num_tokens
    if len(ids) < 2 or num_tokens > longest or num_padding * PAIRS_PER_TOKEN <= num_tokens**2:
        return None
    return [_one_pack(ids, numbers)]


def _one_pack(ids: Sequence[tuple[int, ...]], numbers: Sequence[int]) -> Pack:
    order = sorted(range(len(ids)), key=lambda index: (ids[index], numbers[index]))
    growing = _Growing(ids[order[0]], numbers[order[0]])
    for index in order[1:]:
        growing.add(ids[index], numbers[index])
    return growing.pack()


def cheapest(ids: Sequence[tuple[int, ...]], numbers: Sequence[int], longest: int) -> list[Pack]:
    """Return a batch's rows in the packs that cost least: each for itself, those that begin alike, or a few long ones.

    Rows of unlike lengths are padded where each is for itself; packs of several have a mask, which costs by pairs of
    tokens.

    Args:
        ids: Token ids of the rows, after the prefix.
        numbers: Numbers of the rows.
        longest: Tokens of a pack at most.
    """
    found = [
        [plain(row, number) for row, number in zip(ids, numbers, strict=True)],
        list(_grown(ids, numbers, longest)),
    ]
    by_length = sorted(range(len(ids)), key=lambda index: (len(ids[index]), ids[index], numbers[index]))
    for count in _GROUPS:
        groups = [by_length[first::count] for first in range(count)]
        if len(ids) >= 2 * count and max(sum(len(ids[index]) for index in group) for group in groups) <= longest:
            found.append([_one_pack([ids[i] for i in group], [numbers[i] for i in group]) for group in groups])
    return min(found, key=_cost)


def _cost(batch: Sequence[Pack]) -> int:
    """Return about what a batch costs, in pairs of tokens."""
    num_tokens = max(len(pack.ids) for pack in batch)
    pairs = 0 if all(pack.is_plain for pack in batch) else num_tokens**2
    return len(batch) * (num_tokens * PAIRS_PER_TOKEN + pairs)


def plain(ids: tuple[int, ...], number: int) -> Pack:
    """Return a row as a pack of its own."""
    return Pack((number,), ids, (len(ids),) * len(ids), (tuple(range(len(ids))),))


def _grown(ids: Sequence[tuple[int, ...]], numbers: Sequence[int], longest: int) -> Iterator[Pack]:
    """Yield packs: of the rows in the order of their tokens, each joins the last pack if that pays."""
    growing: _Growing | None = None
    for index in sorted(range(len(ids)), key=lambda index: (ids[index], numbers[index])):
        if growing is None or not growing.takes(ids[index], numbers[index], longest):
            if growing is not None:
                yield growing.pack()
            growing = _Growing(ids[index], numbers[index])
    if growing is not None:
        yield growing.pack()


class _Growing:
    """A pack to which rows are added."""

    def __init__(self, ids: tuple[int, ...], number: int) -> None:
        self._rows = [number]
        self._ids = list(ids)
        self._paths = [tuple(range(len(ids)))]
        self._last = ids

    def takes(self, ids: tuple[int, ...], number: int, longest: int) -> bool:
        """Add a row, unless that would not pay."""
        shared = num_shared(self._last, ids)
        size, new = len(self._ids), len(ids) - shared
        more_pairs = 2 * size * new + new * new - len(ids) ** 2
        if shared * PAIRS_PER_TOKEN <= more_pairs or not shared or size + new > longest:
            return False
        self.add(ids, number)
        return True

    def add(self, ids: tuple[int, ...], number: int) -> None:
        """Add a row, whether or not that pays."""
        shared, size = num_shared(self._last, ids), len(self._ids)
        path = self._paths[-1][:shared] + tuple(range(size, size + len(ids) - shared))
        self._ids += ids[shared:]
        self._rows.append(number)
        self._paths.append(path)
        self._last = ids

    def pack(self) -> Pack:
        """Return the pack."""
        ends = [0] * len(self._ids)
        for path in self._paths:
            for token in path:
                ends[token] = max(ends[token], path[-1] + 1)
        return Pack(tuple(self._rows), tuple(self._ids), tuple(ends), tuple(self._paths))


def num_shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many leading tokens two rows share."""
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return length


def indices_read(batch: Sequence[Pack], counts: Sequence[int], num_tokens: int) -> list[int]:
    """Return the indices of each row's last tokens among the B·T, ``counts`` of each, one row after the other."""
    paths = ((index, path) for index, pack in enumerate(batch) for path in pack.paths)
    return [
        index * num_tokens + token
        for (index, path), count in zip(paths, counts, strict=False)
        for token in path[len(path) - count :]
    ]


def layout_of(batch: Sequence[Pack], prefix_length: int, like: torch.Tensor) -> Layout | None:
    """Return the mask and positions of a batch, or None where plain causal attention is right.

    Args:
        batch: B packs.
        prefix_length: P.
        like: A tensor of the model's device and dtype.
    """
    if all(pack.is_plain for pack in batch):
        return None
    num_tokens = max(len(pack.ids) for pack in batch)
    ends_BT = np.tile(np.arange(1, num_tokens + 1), (len(batch), 1))  # padding is seen by itself alone
    positions_BT = np.zeros((len(batch), num_tokens), dtype=np.int64)
    for index, pack in enumerate(batch):
        ends_BT[index, : len(pack.ids)] = pack.ends
        for path in pack.paths:
            positions_BT[index, list(path)] = range(prefix_length, prefix_length + len(path))
    tokens = torch.arange(num_tokens, device=like.device)
    ends = torch.from_numpy(ends_BT).to(like.device)
    seen_BTT = (tokens[:, None] >= tokens) & (tokens[:, None] < ends[:, None, :])
    mask = torch.zeros((len(batch), 1, num_tokens, prefix_length + num_tokens), dtype=like.dtype, device=like.device)
    mask[:, 0, :, prefix_length:].masked_fill_(~seen_BTT, torch.finfo(like.dtype).min)
    return Layout(mask, torch.from_numpy(positions_BT).to(like.device))


def can_pack(split: SplitDecoder, like: torch.Tensor) -> bool:
    """Tell whether the model attends as a mask says: compare a pack with rows of their own.

    Args:
        split: The model.
        like: A tensor of the model's device and dtype.
    """
    if split.limits_attention:
        return False
    (pack,) = _grown(_CHECKED, range(len(_CHECKED)), LONGEST)
    with torch.no_grad():
        found_TD = split.whole(torch.tensor([pack.ids], device=like.device), layout_of([pack], 0, like))[0]
        for number, path in zip(pack.rows, pack.paths, strict=True):
            alone_TD = split.whole(torch.tensor([_CHECKED[number]], device=like.device))[0]
            if not torch.allclose(alone_TD.float(), found_TD[list(path)].float(), rtol=2e-2, atol=2e-2):
                return False
    return True
