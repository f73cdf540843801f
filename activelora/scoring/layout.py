"""How items become rows of token ids, rows packs, and packs batches.

Letters: N items, C answers, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from activelora.modeling.answer_paths import grouped_paths
from activelora.modeling.encoding import EncodedItem, Scoring
from activelora.modeling.packing import LONGEST, Pack, joined, num_shared, packs, plain

MIN_PREFIX_TOKENS = 4


@dataclass(frozen=True)
class Row:
    """One row to run: the prompt, and for scoring by text the answer after it.

    Attributes:
        item: Index of the item among the results; −1 for a padding row.
        answer: Index of the answer, or None if all are read off the last position; by the chain rule, number of the row
            among the item's.
        ids: Token ids to run.
        targets: Ids whose likelihood counts: the answer's own, or the candidates for the next token.
        paths: Answers whose likelihood this row tells by the chain rule, by index, each with its ids.
    """

    item: int
    answer: int | None
    ids: tuple[int, ...]
    targets: tuple[int, ...]
    paths: tuple[tuple[int, tuple[int, ...]], ...] = ()

    @property
    def num_read(self) -> int:
        """How many of the last positions are projected."""
        return 1 if self.answer is None else len(self.targets)

    @property
    def positions_read(self) -> range:
        """Their positions in the text, from 0."""
        return range(len(self.ids) - self.num_read, len(self.ids))

    def positions_of(self, answer: int) -> range:
        """Return the positions that an answer's likelihood is read off; none, if this row does not tell of it."""
        begin, paths = self.positions_read.start, self.paths or ((self.answer or 0, self.targets),)
        length = next((len(ids) for index, ids in paths if index == answer), 0)
        return range(begin, begin + length)

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
        batches: The rows that are wanted, packed, in batches of like lengths.
        trunk_batches: All rows so, padding rows too: as the trunk runs them.
    """

    rows: list[Row]
    prefix_length: int
    batches: list[list[Pack]]
    trunk_batches: list[list[Pack]]

    @property
    def prefix(self) -> tuple[int, ...]:
        """The leading tokens that all rows share."""
        return self.rows[0].ids[: self.prefix_length]

    def rows_of(self, batch: list[Pack]) -> list[Row]:
        """Return the rows of a batch, as they follow each other in its packs."""
        return [self.rows[number] for pack in batch for number in pack.rows]


@dataclass(frozen=True)
class Listing:
    """Items to run.

    Attributes:
        encoded: The items, and any that are padding rows in the trunk only, so that rounding stays the same.
        result_indices: Index of each among the results; −1 for a padding row.
        keep: Whether the same items will be run again, so that their trunk states are worth keeping.
    """

    encoded: list[EncodedItem]
    result_indices: Sequence[int]
    keep: bool

    @property
    def wanted(self) -> list[EncodedItem]:
        """The items that are wanted, in the results' order."""
        order = sorted(
            (result_index, index) for index, result_index in enumerate(self.result_indices) if result_index >= 0
        )
        return [self.encoded[index] for _, index in order]

    def chunk(
        self,
        begin: int,
        end: int,
        scoring: Scoring,
        batch_tokens: int,
        packing: bool,
        shared: Shared | None = None,
        joining: bool = False,
    ) -> Chunk | None:
        """Return some of the items as a chunk, or None where none of them is wanted.

        Args:
            begin: First item.
            end: The one after the last.
            scoring: How an answer's score comes from its tokens.
            batch_tokens: Padded tokens of a batch, without the prefix.
            packing: Whether rows that begin alike may be run as one.
            shared: How many leading tokens are run once for all rows; None is :func:`shared_prefix`.
            joining: Whether a few short rows may be run as one.
        """
        result_indices = self.result_indices[begin:end]
        if max(result_indices, default=-1) < 0:
            return None
        return chunk_of(
            rows_of(self.encoded[begin:end], result_indices, scoring), batch_tokens, packing, shared, joining
        )


Shared = Callable[[list[Row]], int]
"""Rows → how many of their leading tokens are run once for all."""


def no_prefix(rows: list[Row]) -> int:
    """Return 0: each row is run from its beginning."""
    return 0


def rows_of(items: list[EncodedItem], result_indices: Sequence[int], scoring: Scoring) -> list[Row]:
    """Return the rows to run for some items with these indices; see :meth:`Listing.chunk`."""
    rows = []
    for index, item in zip(result_indices, items, strict=True):
        if scoring == "chain":
            rows += [
                Row(index, number, item.prompt_ids + paths[0][1][:-1], paths[0][1], paths)
                for number, paths in enumerate(grouped_paths(item.answer_ids))
            ]
        elif scoring == "text":
            rows += [Row(index, answer, item.prompt_ids + ids[:-1], ids) for answer, ids in enumerate(item.answer_ids)]
        else:
            rows.append(Row(index, None, item.prompt_ids, tuple(ids[0] for ids in item.answer_ids)))
    return rows


def shared_prefix(rows: list[Row]) -> int:
    """Return how many leading tokens all rows share, leaving out every position that is projected."""
    longest = min(len(row.ids) - row.num_read for row in rows)
    length = min(longest, num_shared(min(row.ids for row in rows), max(row.ids for row in rows)))
    return length if length >= MIN_PREFIX_TOKENS and len(rows) > 1 else 0


def chunk_of(
    rows: list[Row], batch_tokens: int, packing: bool, shared: Shared | None = None, joining: bool = False
) -> Chunk:
    """Return rows as a chunk, in batches whose padded tokens, without the prefix, stay within a budget."""
    prefix_length = (shared or shared_prefix)(rows)
    if packing and joining and all(row.item >= 0 for row in rows):
        ids = [row.ids[prefix_length:] for row in rows]
        if (packed := joined(ids, range(len(rows)), batch_tokens)) is not None:
            return Chunk(rows, prefix_length, [packed], [packed])
    trunk_batches = _batches(rows, range(len(rows)), prefix_length, batch_tokens, packing)
    wanted = [index for index, row in enumerate(rows) if row.item >= 0]
    if len(wanted) == len(rows):
        return Chunk(rows, prefix_length, trunk_batches, trunk_batches)
    return Chunk(rows, prefix_length, _batches(rows, wanted, prefix_length, batch_tokens, packing), trunk_batches)


def _batches(
    rows: list[Row], numbers: Sequence[int], prefix_length: int, batch_tokens: int, packing: bool
) -> list[list[Pack]]:
    """Return some rows, packed, in batches of like lengths whose padded size stays within the budget."""
    ids = [rows[number].ids[prefix_length:] for number in numbers]
    packed = packs(ids, numbers, max(batch_tokens, LONGEST)) if packing else list(map(plain, ids, numbers))
    batches: list[list[Pack]] = []
    room = 0
    for pack in sorted(packed, key=lambda pack: (-len(pack.ids), pack.rows)):
        if room < 1:
            batches.append([])
            room = max(1, batch_tokens // len(pack.ids))
        batches[-1].append(pack)
        room -= 1
    return batches
