"""What a model that answers many small batches keeps from one to the next: the sample in effect, and prefixes.

A server's batch is a few rows. Merging an adapter into the weights and running the instructions that all prompts begin
with would cost more than the rows themselves, and neither changes as long as the model stays loaded.

Letters: P prefix tokens.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from activelora.modeling.packing import num_shared
from activelora.modeling.sampling import Sampler
from activelora.scoring.layout import MIN_PREFIX_TOKENS, Row

LIMIT_BYTES = 256 << 20
"""Keys and values that are kept at most."""
LIMIT_PREFIXES = 16
"""Prefixes that are kept at most: campaigns whose rows bring their own instructions have many."""
WORTH_TOKENS = 64
"""Tokens that a longer prefix than those kept must save its batch: a pass of few tokens costs about as much."""
WORTH_ALONE_TOKENS = 16
"""Tokens that a row must share with the row before it, for these to be kept for the next."""


@dataclass
class _Prefix:
    caches: dict[int | None, DynamicCache] = field(default_factory=dict)

    @property
    def num_bytes(self) -> int:
        return sum(_num_bytes(cache) for cache in self.caches.values())


class BatchCache:
    """The sample in effect, and the keys and values of prefixes under each sample, bounded.

    Good for one model whose samples stay what they are, and for one thread at a time.

    Attributes:
        caches_prefixes: Whether prefixes are kept, and not the sample alone.

    Args:
        prefixes: Whether to keep prefixes. Rounding then depends on what was asked before, as it does on what is asked
            together.
        limit_bytes: Size of all keys and values; those that were not used for longest go first.
    """

    def __init__(self, *, prefixes: bool, limit_bytes: int = LIMIT_BYTES) -> None:
        self.caches_prefixes = prefixes
        self._limit_bytes = limit_bytes
        self._prefixes: OrderedDict[tuple[int, ...], _Prefix] = OrderedDict()
        self._last: tuple[int, ...] = ()
        self._in_effect: tuple[Sampler, int | None] | None = None
        self._leaving = ExitStack()

    @property
    def num_bytes(self) -> int:
        """The size of all keys and values that are kept."""
        return sum(prefix.num_bytes for prefix in self._prefixes.values())

    @property
    def prefixes(self) -> list[tuple[int, ...]]:
        """The prefixes, as token ids; the one that was used last comes last."""
        return list(self._prefixes)

    @contextmanager
    def activate(self, sampler: Sampler, sample: int | None) -> Iterator[None]:
        """Put a sample into effect, if it is not already, and leave it so at the end."""
        if self._in_effect is None or self._in_effect[0] is not sampler or self._in_effect[1] != sample:
            self.leave()
            with _own_grad_mode():
                self._leaving.enter_context(sampler.activate(sample))
            self._in_effect = (sampler, sample)
        try:
            with torch.no_grad():
                yield
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Take the sample out of effect."""
        self._in_effect = None
        with _own_grad_mode():
            self._leaving.close()

    def close(self) -> None:
        """Take the sample out of effect, and keep nothing."""
        self.leave()
        self._prefixes.clear()
        self._last = ()

    def prefix_length(self, rows: Sequence[Row]) -> int:
        """Return how many of the leading tokens that all rows share are best run as a prefix.

        Args:
            rows: One or more rows.
        """
        first, last = min(row.ids for row in rows), max(row.ids for row in rows)
        shared = min(min(len(row.ids) - row.num_read for row in rows), num_shared(first, last))
        ids = first[:shared]
        known = max((num_shared(prefix, ids) for prefix in self._prefixes), default=0)
        with_last, self._last = num_shared(self._last, ids), last
        if len(rows) == 1:
            length = with_last if with_last - known >= WORTH_ALONE_TOKENS else known
        else:
            length = (
                shared if known < MIN_PREFIX_TOKENS or (shared - known) * (len(rows) - 1) >= WORTH_TOKENS else known
            )
        return length if length >= MIN_PREFIX_TOKENS else 0

    def key_values(self, ids: tuple[int, ...], sample: int | None, make: Callable[[], DynamicCache]) -> DynamicCache:
        """Return a prefix's keys and values: those of a longer one that was kept, cut, or new ones.

        Args:
            ids: The prefix.
            sample: The sample in effect.
            make: Runs it.
        """
        for prefix, entry in reversed(self._prefixes.items()):
            if sample in entry.caches and prefix[: len(ids)] == ids:
                self._prefixes.move_to_end(prefix)
                return _cut(entry.caches[sample], len(ids))
        made = make()
        if all(type(layer) is DynamicLayer for layer in made.layers) and _num_bytes(made) <= self._limit_bytes:
            self._prefixes.setdefault(ids, _Prefix()).caches[sample] = made
            self._prefixes.move_to_end(ids)
            while self.num_bytes > self._limit_bytes or len(self._prefixes) > LIMIT_PREFIXES:
                oldest, entry = next(iter(self._prefixes.items()))
                if oldest == ids:  # only its own samples are left
                    entry.caches.pop(next(iter(entry.caches)))
                else:
                    del self._prefixes[oldest]
        return made


def _cut(cache: DynamicCache, length: int) -> DynamicCache:
    """Return the first tokens of a cache, nothing copied."""
    return DynamicCache(
        ddp_cache_data=[
            (layer.keys[:, :, :length], layer.values[:, :, :length])
            for layer in cache.layers
            if layer.keys is not None and layer.values is not None
        ]
    )


def _num_bytes(cache: DynamicCache) -> int:
    return sum(part.nbytes for layer in cache.layers for part in (layer.keys, layer.values) if part is not None)


@contextmanager
def _own_grad_mode() -> Iterator[None]:
    """Leave the thread's gradient mode as it is: of two models, the one that came first may be left first."""
    before = torch.is_grad_enabled()
    try:
        yield
    finally:
        torch.set_grad_enabled(before)
