"""Pools that grow: each refresh of the pool is a write-once unit of its own, and a round sees those it began with.

Refresh n is ``ingest_pool`` number n, tried only where refresh n−1 is done. It brings shards, numbered on from those
before. Which refreshes a round sees, its evaluate_adapter says, once: all that were done when it ran. What comes later
is of the next round, so that scores, selection and labels of a round speak of the same pool, also when they are done
again or by two at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.snapshot import INGEST, Snapshot, View, snapshot_of
from activelora.errors import StoreError

SEEN = "num_refreshes"
"""The detail of evaluate_adapter with the number of refreshes that its round sees; without it, none."""
ROUND = "round"
"""The detail of a refresh with the round that was under way."""


@dataclass(frozen=True)
class PoolParts:
    """The manifests that make up a pool.

    Attributes:
        manifests: The first reading's, then those of the refreshes in order.
    """

    manifests: tuple[Manifest, ...]

    @property
    def refreshes(self) -> tuple[Manifest, ...]:
        """The refreshes' manifests."""
        return self.manifests[1:]

    @property
    def num_shards(self) -> int:
        """How many shards there are."""
        return sum(int(manifest.details["num_shards"]) for manifest in self.manifests)

    @property
    def num_first_shards(self) -> int:
        """How many of them the first reading brought."""
        return int(self.manifests[0].details["num_shards"])

    @property
    def num_items(self) -> int:
        """How many items there are."""
        first, *later = self.manifests
        return int(first.metrics["num_pool"] + sum(manifest.metrics["num_new"] for manifest in later))

    def manifest_of(self, shard: int) -> Manifest:
        """Return the manifest that holds a shard.

        Raises:
            StoreError: There is no such shard.
        """
        return self.manifests[self.refresh_of(shard)]

    def refresh_of(self, shard: int) -> int:
        """Return the number of the refresh that brought a shard; 0 is the first reading.

        Raises:
            StoreError: There is no such shard.
        """
        begins = [0]
        for manifest in self.manifests:
            begins.append(begins[-1] + int(manifest.details["num_shards"]))
        if not 0 <= shard < begins[-1]:
            raise StoreError(f"the pool has no shard {shard}, it has {begins[-1]}")
        return bisect_right(begins, shard) - 1


def pool_now(campaign: View) -> PoolParts:
    """Return the pool with all refreshes that are done."""
    seen = snapshot_of(campaign)
    return _parts(seen, num_refreshes(seen))


def pool_of(campaign: View, round_: int) -> PoolParts:
    """Return the pool that a round sees, once the round is evaluated; before that, the pool of now."""
    seen = snapshot_of(campaign)
    evaluation = seen.campaign.manifest(Unit("evaluate_adapter", round_))
    if evaluation is None:
        return pool_now(seen)
    return _parts(seen, int(evaluation.details.get(SEEN, 0)))


def num_refreshes(campaign: View) -> int:
    """Return how many refreshes are done: the first ones, without a gap."""
    done, number = snapshot_of(campaign).refreshes, 0
    while Unit("ingest_pool", number + 1) in done:
        number += 1
    return number


def next_refresh(campaign: View) -> Unit:
    """Return the refresh that comes next."""
    return Unit("ingest_pool", num_refreshes(campaign) + 1)


def due_refresh(campaign: View, round_: int) -> Unit | None:
    """Return the refresh that a round begins with and that is not done; None if there is none.

    Args:
        campaign: The campaign.
        round_: The round that is under way.
    """
    seen = snapshot_of(campaign)
    if round_ == 0 or seen.config.data.pool.refresh == "never" or Unit("evaluate_adapter", round_) in seen.done:
        return None
    done = pool_now(seen).refreshes
    return None if any(manifest.details[ROUND] == round_ for manifest in done) else next_refresh(seen)


def _parts(seen: Snapshot, num: int) -> PoolParts:
    units = (INGEST, *(Unit("ingest_pool", number) for number in range(1, num + 1)))
    return PoolParts(tuple(map(seen.require, units)))
