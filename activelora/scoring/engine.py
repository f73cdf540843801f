"""Runs a model over many items and returns answer distributions.

Where the time goes is saved: the trunk below the adapter is computed once for all samples, the prefix that all
prompts share once per sample, prompts that begin alike share their beginnings, items are sorted by length and batched
by a token budget, and only the answer's positions are projected, in the one-token case only onto the answer tokens.

Letters: N items, K samples, C answers, B batch, R rows, P prefix tokens, T tokens, D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from activelora.campaign.records import Item
from activelora.config.acquisition import Embedding
from activelora.modeling.base import BaseModel
from activelora.modeling.encoding import Encoder
from activelora.modeling.head import Head
from activelora.modeling.own_tokens import OwnTokens
from activelora.modeling.packing import can_pack
from activelora.modeling.sampling import TOKEN_BY_TOKEN, BaseAlone, NoAdapter, Sampler
from activelora.modeling.split import SplitDecoder
from activelora.modeling.trunk_states import TrunkStates
from activelora.progress import track
from activelora.scoring.batch_cache import BatchCache
from activelora.scoring.finals import Finals
from activelora.scoring.layout import Chunk, Listing, Row, Shared, no_prefix
from activelora.scoring.reading import Read, log_sum_exp, reader
from activelora.scoring.runner import Runner
from activelora.scoring.trunk import Trunk

CHUNK_ITEMS = 512
"""Items whose trunk states are held at once."""
CHUNKS_WITHOUT_TRUNK = 64
"""Factor on the items where only token ids are held: a sample's weights are merged once a chunk."""


class Engine:
    """Computes log-probabilities of answers.

    Args:
        base: The base model (an adapter may be attached).
        encoder: Turns items into token ids.
        first_top_layer: L0, below which all samples agree.
        batch_tokens: Token budget of a batch, padding included.
        trunk_cache: Store of the trunk's states across runs, if there is one.
        embedding: What of a prompt an embedding is the mean of: :data:`activelora.config.acquisition.Embedding`.
    """

    def __init__(
        self,
        base: BaseModel,
        encoder: Encoder,
        first_top_layer: int,
        batch_tokens: int,
        trunk_cache: TrunkStates | None = None,
        embedding: Embedding = "after_item",
    ) -> None:
        self.base = base
        self.encoder = encoder
        self._split = SplitDecoder.of(base, first_top_layer)
        self.head = Head.of(base)
        like = torch.empty(0, dtype=base.model.dtype, device=base.device)
        self._trunk = Trunk(self._split, like, trunk_cache)
        self._top = Runner(self._split.top, like)
        self._packing = base.paths.packing and can_pack(self._split, like)
        self._narrows = base.paths.narrowing and self._split.can_narrow()
        self._all_items: Sequence[Item] | None = None
        self._batch_cache: BatchCache | None = None
        self._differs = False
        self.batch_tokens = batch_tokens
        own_tokens = OwnTokens(encoder)
        self._pooled_of = {"prompt": _all, "item": own_tokens.of, "after_item": own_tokens.after}[embedding]

    def among(self, all_items: Sequence[Item]) -> Engine:
        """Return an engine for items that are some of these, fewer every round.

        What the trunk makes of an item then does not depend, to the last bit, on which others are left.
        """
        engine = copy(self)
        engine._all_items = all_items
        return engine

    def caching(self, batch_cache: BatchCache) -> Engine:
        """Return an engine that keeps between its runs what the next may need. Samples must stay what they are."""
        engine = copy(self)
        engine._batch_cache = batch_cache
        return engine

    def of_differences(self) -> Engine:
        """Return an engine whose embeddings are what the states of an item's two answers differ by.

        An answer's state is the mean of the last hidden states (after the final norm) at the positions that its
        log-likelihood is read off: the prompt's last and those of its tokens, without the end. The second answer's is
        taken from the first's.

        Raises:
            ValueError: The task does not compare answers.
        """
        if self.encoder.beta is None:
            raise ValueError("the items of this task have no two answers that are compared")
        engine = copy(self)
        engine._differs = True
        return engine

    def activate(self, sampler: Sampler, sample: int | None) -> AbstractContextManager[None]:
        """Return the context in which a sample is in effect."""
        return sampler.activate(sample) if self._batch_cache is None else self._batch_cache.activate(sampler, sample)

    def log_probs(
        self, items: Sequence[Item], sampler: Sampler, samples: Sequence[int | None], description: str
    ) -> NDArray[np.float64]:
        """Return log p(answer | item, sample).

        Args:
            items: N items.
            sampler: Puts a sample into effect.
            samples: K sample numbers; None is the model without dropout.
            description: Text of the progress display.

        Returns:
            Shape (N, K, C), natural logarithms; −inf where an item has fewer than C answers. N counts what the encoder
            makes of the items: several rows an item where it asks several questions.
        """
        return self._run(items, sampler, samples, description, None)

    def log_probs_and_embeddings(
        self, items: Sequence[Item], sampler: Sampler, samples: Sequence[int | None], description: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return what :meth:`log_probs` returns and, from the same pass, the items' embeddings.

        An embedding is the mean of the last hidden state (after the final norm) over the tokens of
        the prompt that ``embedding`` names (:mod:`activelora.modeling.own_tokens`), and over the K samples. Answers are
        never part of it.

        Returns:
            Shapes (N, K, C) and (N, D).
        """
        embeddings_ND = np.zeros((len(items) * self.encoder.rows_per_item, self.head.width), dtype=np.float32)
        log_probs_NKC = self._run(items, sampler, samples, description, embeddings_ND)
        embeddings_ND /= len(samples)
        return log_probs_NKC, embeddings_ND

    def _run(
        self,
        items: Sequence[Item],
        sampler: Sampler,
        samples: Sequence[int | None],
        description: str,
        embeddings_ND: NDArray[np.float32] | None,
    ) -> NDArray[np.float64]:
        listing = self._listing(items)
        wanted = listing.wanted
        num_answers = max((len(item.answer_ids) for item in wanted), default=0)
        result = np.full((len(wanted), len(samples), num_answers), -np.inf)
        narrow = embeddings_ND is None and isinstance(sampler, TOKEN_BY_TOKEN) and self._narrows
        self.run(listing, sampler, samples, description, reader(self.head, result), embeddings_ND, narrow)
        if self.encoder.beta is not None:
            result = self.encoder.beta * (result - self._reference(listing, sampler, result, description))
        return result - log_sum_exp(result)

    def _reference(
        self, listing: Listing, sampler: Sampler, found_NKC: NDArray[np.float64], description: str
    ) -> NDArray[np.float64]:
        """Return what the base model says of each answer, shape (N, 1, C), in one pass for all samples."""
        if isinstance(sampler, NoAdapter):
            return found_NKC[:, :1]
        result = np.full_like(found_NKC[:, :1], -np.inf)
        base, read = BaseAlone(self.base), reader(self.head, result)
        self.run(listing, base, [None], f"{description}: base model", read, None, self._narrows)
        return result

    def _listing(self, items: Sequence[Item]) -> Listing:
        """Return the items with the padding rows that the trunk is to run with them."""
        if self._all_items is None or self._split.first_top_layer == 0:
            encoded = self.encoder.encode(items)
            return Listing(encoded, range(len(encoded)), keep=True)
        all_items, width = self._all_items, self.encoder.rows_per_item
        first = {item.item_id: index * width for index, item in enumerate(items)}
        if missing := set(first).difference(item.item_id for item in all_items):
            raise ValueError(f"{len(missing)} items are none of those that the engine was given: {min(missing)}")
        result_indices = [
            first[item.item_id] + row if item.item_id in first else -1 for item in all_items for row in range(width)
        ]
        return Listing(self.encoder.encode(all_items), result_indices, keep=True)

    def run(
        self,
        listing: Listing,
        sampler: Sampler,
        samples: Sequence[int | None],
        description: str,
        read: Read,
        embeddings_ND: NDArray[np.float32] | None,
        narrow: bool = False,
    ) -> None:
        """Run all items under all samples, and let their final states be read.

        Args:
            listing: N items.
            sampler: Puts a sample into effect.
            samples: K sample numbers.
            description: Text of the progress display.
            read: Is given every batch, once a sample.
            embeddings_ND: The sums over the samples are added to it; None leaves them out.
            narrow: Whether only the answers' positions are read, and other states need not be right.
        """
        size = CHUNK_ITEMS if self._split.first_top_layer else CHUNK_ITEMS * CHUNKS_WITHOUT_TRUNK
        starts = range(0, len(listing.encoded), size)
        may_keep = embeddings_ND is None and self._split.first_top_layer == 0
        batch_cache = self._batch_cache if may_keep else None
        if batch_cache is not None and not batch_cache.caches_prefixes:
            batch_cache = None
        shared, joins = self._shared(batch_cache), batch_cache is not None
        shape = (self.encoder.scoring, self.batch_tokens, self._packing, shared, joins)
        found = (listing.chunk(at, at + size, *shape) for at in starts)
        chunks = [chunk for chunk in found if chunk is not None]
        passes = (
            done
            for chunk in chunks
            for done in self._score(chunk, listing.keep, sampler, samples, read, embeddings_ND, narrow, batch_cache)
        )
        trunk_passes = sum(len(chunk.trunk_batches) for chunk in chunks) if self._split.first_top_layer else 0
        total = trunk_passes + sum(len(chunk.batches) for chunk in chunks) * len(samples)
        for _ in track(passes, description, total, "batches"):
            pass

    def _shared(self, batch_cache: BatchCache | None) -> Shared | None:
        """Return what tells how many leading tokens are run once."""
        if not self.base.paths.prefix:
            return no_prefix
        return None if batch_cache is None else batch_cache.prefix_length

    def _score(
        self,
        chunk: Chunk,
        keep: bool,
        sampler: Sampler,
        samples: Sequence[int | None],
        read: Read,
        embeddings_ND: NDArray[np.float32] | None,
        narrow: bool,
        batch_cache: BatchCache | None,
    ) -> Iterator[None]:
        """Let the chunk's final states be read, and add to the embeddings, if they are wanted.

        Yields after every batch.
        """
        with torch.no_grad():
            prefix, states = yield from self._trunk.states(chunk, keep)
        for index, sample in enumerate(samples):
            with self.activate(sampler, sample), torch.no_grad():
                top_cache, prefix_BTD = self._prefix(prefix, chunk, sample, batch_cache)
                for batch, hidden in zip(chunk.batches, states, strict=True):
                    rows = chunk.rows_of(batch)
                    counts = [row.num_read for row in rows] if narrow else None
                    final_BTD = self._top.run(hidden, batch, top_cache, chunk.prefix_length, counts)
                    finals = Finals(final_BTD, batch)
                    read(index, rows, finals)
                    if embeddings_ND is not None and self._differs:
                        _add_differences(embeddings_ND, rows, finals, chunk.prefix_length)
                    elif embeddings_ND is not None:
                        self._pool_hidden(embeddings_ND, rows, finals, prefix_BTD)
                    yield

    def _prefix(
        self, prefix: torch.Tensor | None, chunk: Chunk, sample: int | None, batch_cache: BatchCache | None
    ) -> tuple[DynamicCache | None, torch.Tensor | None]:
        """Return the prefix's keys and values under the sample in effect, and its states where they were computed."""
        if prefix is None:
            return None, None

        def run() -> tuple[DynamicCache, torch.Tensor]:
            cache = self._split.new_cache()
            return cache, self._split.top(prefix, cache)

        return run() if batch_cache is None else (batch_cache.key_values(chunk.prefix, sample, lambda: run()[0]), None)

    def _pool_hidden(
        self, embeddings_ND: NDArray[np.float32], rows: list[Row], finals: Finals, prefix_BTD: torch.Tensor | None
    ) -> None:
        """Add the mean hidden state of each item's tokens; of an item with several rows, the first row's."""
        firsts = [index for index, row in enumerate(rows) if not row.answer]
        if not firsts:
            return
        pooled = [self._pooled(row) for row in rows]
        num_prefix = 0 if prefix_BTD is None else prefix_BTD.shape[1]
        after = [range(max(one.start - num_prefix, 0), max(one.stop - num_prefix, 0)) for one in pooled]
        total_RD = finals.sums(after)[firsts]
        if prefix_BTD is not None:
            wanted_RP = torch.zeros(len(firsts), num_prefix)
            for wanted_P, index in zip(wanted_RP, firsts, strict=True):
                wanted_P[pooled[index].start : pooled[index].stop] = 1.0
            total_RD = total_RD + wanted_RP.to(total_RD.device) @ prefix_BTD[0].float()
        mean_RD = total_RD / torch.tensor([len(pooled[index]) for index in firsts], device=total_RD.device)[:, None]
        embeddings_ND[[rows[index].item for index in firsts]] += mean_RD.cpu().numpy()

    def _pooled(self, row: Row) -> range:
        """Return the positions in a row whose states an embedding is the mean of."""
        return self._pooled_of(row.item % self.encoder.rows_per_item, row.ids[: row.num_prompt])


def _add_differences(embeddings_ND: NDArray[np.float32], rows: list[Row], finals: Finals, num_prefix: int) -> None:
    """Add the first answer's mean state to its item's row, and take off the second's; a row may tell of both."""
    for answer, sign in ((0, 1.0), (1, -1.0)):
        read = [row.positions_of(answer) for row in rows]
        means_RD = finals.sums([range(one.start - num_prefix, one.stop - num_prefix) for one in read]).cpu().numpy()
        for row, one, mean_D in zip(rows, read, means_RD, strict=True):
            if len(one):
                embeddings_ND[row.item] += sign / len(one) * mean_D


def _all(_question: int, prompt_ids: tuple[int, ...]) -> range:
    return range(len(prompt_ids))
