"""How items become rows of token ids, and rows batches.

Letters: N items, C answers, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from activelora.modeling.encoding import EncodedItem, Scoring

MIN_PREFIX_TOKENS = 4


@dataclass(frozen=True)
class Row:
    """One row to run: the prompt, and for scoring by text the answer after it.

    Attributes:
        item: Index of the item among the results; −1 for one that is company only.
        answer: Index of the answer, or None if all are read off the last position; by the chain rule, number of the row
            among the item's.
        ids: Token ids to run.
        targets: Ids whose likelihood counts: the answer's own, or the candidates for the next token.
        paths: By the chain rule: the answers whose likelihood this row tells, by index, each with its ids.
        branches: The item's answers, by index, that follow the prompt side by side, each without its last token.
    """

    item: int
    answer: int | None
    ids: tuple[int, ...]
    targets: tuple[int, ...]
    paths: tuple[tuple[int, tuple[int, ...]], ...] = ()
    branches: tuple[tuple[int, tuple[int, ...]], ...] = ()

    @property
    def num_read(self) -> int:
        """How many of the last positions are projected."""
        if self.branches:
            return 1 + sum(len(ids) - 1 for _, ids in self.branches)
        return 1 if self.answer is None else len(self.targets)

    @property
    def positions_read(self) -> list[int]:
        """Their positions in the text, from 0."""
        if self.branches:
            begin = self.num_prompt
            return [begin - 1, *(begin + step for _, ids in self.branches for step in range(len(ids) - 1))]
        return list(range(len(self.ids) - self.num_read, len(self.ids)))

    @property
    def num_prompt(self) -> int:
        """How many of the tokens belong to the prompt."""
        return len(self.ids) - self.num_read + 1


@dataclass(frozen=True)
class Chunk:
    """Rows that are run together.

    Attributes:
        rows: The rows.
        prefix_length: P, how many leading tokens they share.
        batches: Indices of rows that are wanted, in batches of like lengths.
        company: Indices of all rows in such batches, whether they are wanted or not: as the trunk runs them.
    """

    rows: list[Row]
    prefix_length: int
    batches: list[list[int]]
    company: list[list[int]]

    @property
    def prefix(self) -> tuple[int, ...]:
        """The leading tokens that all rows share."""
        return self.rows[0].ids[: self.prefix_length]

    def ids(self, batch: list[int]) -> list[tuple[int, ...]]:
        """Return the token ids of a batch's rows after the prefix."""
        return [self.rows[index].ids[self.prefix_length :] for index in batch]


@dataclass(frozen=True)
class Listing:
    """Items to run.

    Attributes:
        encoded: The items, and any that are only to keep them company in the trunk.
        places: Index of each among the results; −1 for one that is company only.
        keep: Whether the same items will be run again, so that their trunk states are worth keeping.
    """

    encoded: list[EncodedItem]
    places: Sequence[int]
    keep: bool

    @property
    def wanted(self) -> list[EncodedItem]:
        """The items that are wanted, in the results' order."""
        order = sorted((place, index) for index, place in enumerate(self.places) if place >= 0)
        return [self.encoded[index] for _, index in order]

    def chunk(self, begin: int, end: int, scoring: Scoring, batch_tokens: int, branching: bool = False) -> Chunk | None:
        """Return some of the items as a chunk, or None where none of them is wanted.

        Args:
            begin: First item.
            end: The one after the last.
            scoring: How an answer's score comes from its tokens.
            batch_tokens: Padded tokens of a batch, without the prefix.
            branching: Whether answers by text share their prompt.
        """
        places = self.places[begin:end]
        if max(places, default=-1) < 0:
            return None
        return chunk_of(rows_of(self.encoded[begin:end], places, scoring, branching), batch_tokens)


def rows_of(items: list[EncodedItem], places: Sequence[int], scoring: Scoring, branching: bool = False) -> list[Row]:
    """Return the rows to run for some items with these indices; see :meth:`Listing.chunk`."""
    rows = []
    for index, item in zip(places, items, strict=True):
        if scoring == "chain":
            rows += [
                Row(index, number, item.prompt_ids + paths[0][1][:-1], paths[0][1], paths)
                for number, paths in enumerate(grouped_paths(item.answer_ids))
            ]
        elif scoring == "text" and branching and len(item.answer_ids) > 1:
            ids = item.prompt_ids + sum((ids[:-1] for ids in item.answer_ids), ())
            rows.append(Row(index, None, ids, (), (), tuple(enumerate(item.answer_ids))))
        elif scoring == "text":
            rows += [Row(index, answer, item.prompt_ids + ids[:-1], ids) for answer, ids in enumerate(item.answer_ids)]
        else:
            rows.append(Row(index, None, item.prompt_ids, tuple(ids[0] for ids in item.answer_ids)))
    return rows


@lru_cache(maxsize=8)
def grouped_paths(answers: tuple[tuple[int, ...], ...]) -> list[tuple[tuple[int, tuple[int, ...]], ...]]:
    """Group answers so that a group's first one, run but for its last token, tells the likelihood of all of it.

    That is so where it runs through the parents (all but the last token) of the others.
    """
    groups: list[list[tuple[int, tuple[int, ...]]]] = []
    for index, ids in sorted(enumerate(answers), key=lambda one: (-len(one[1]), one[0])):
        parent = ids[:-1]
        for group in groups:
            if group[0][1][: len(parent)] == parent:
                group.append((index, ids))
                break
        else:
            groups.append([(index, ids)])
    return [tuple(group) for group in groups]


def shared_prefix(rows: list[Row]) -> int:
    """Return how many leading tokens all rows share, leaving out every position that is projected."""
    first, last = min(row.ids for row in rows), max(row.ids for row in rows)
    longest = min(len(row.ids) - row.num_read for row in rows)
    length = 0
    while length < longest and first[length] == last[length]:
        length += 1
    return length if length >= MIN_PREFIX_TOKENS and len(rows) > 1 else 0


def chunk_of(rows: list[Row], batch_tokens: int) -> Chunk:
    """Return rows as a chunk, in batches whose padded tokens, without the prefix, stay within a budget."""
    prefix_length = shared_prefix(rows)
    company = batches(rows, range(len(rows)), prefix_length, batch_tokens)
    wanted = [index for index, row in enumerate(rows) if row.item >= 0]
    if len(wanted) == len(rows):
        return Chunk(rows, prefix_length, company, company)
    return Chunk(rows, prefix_length, batches(rows, wanted, prefix_length, batch_tokens), company)


def batches(rows: list[Row], indices: Sequence[int], prefix_length: int, batch_tokens: int) -> list[list[int]]:
    """Return some rows' indices in batches of like lengths whose padded size stays within the budget."""
    order = sorted(indices, key=lambda i: (-len(rows[i].ids), i))
    batches: list[list[int]] = []
    room = 0
    for index in order:
        if room < 1:
            batches.append([])
            room = max(1, batch_tokens // (len(rows[index].ids) - prefix_length))
        batches[-1].append(index)
        room -= 1
    return batches
